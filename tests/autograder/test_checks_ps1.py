"""The checks of ps1: the reference and other right answers score in full, wrong ones lose points.

The wrong answers that students are known to write are the misconceptions, and each must be named;
further ones stand here, with words of the message that they get.
"""

import pytest
from known import assert_named, mistakes

from autograder.misconceptions import swapped as swap
from vae_course.authoring.assignment import load_assignment

EXERCISES = {
    "conv_size": ["conv_output_size", "conv_transpose_output_size"],
    "encoder": ["Encoder"],
    "decoder": ["Decoder"],
    "autoencoder": ["AutoEncoder"],
    "squared_error": ["squared_error"],
    "train_epoch": ["train_epoch"],
    "evaluate": ["evaluate"],
    "fault": ["error_by_label"],
    "sample_prior": ["sample_prior"],
    "pca": ["pca_reconstruct"],
}
SLOW = {"autoencoder", "encoder", "decoder"}

SIZES = """
def conv_output_size(size, kernel, stride, padding=0):
    return (size + 2 * padding - kernel) // stride + 1

def conv_transpose_output_size(size, kernel, stride, padding=0):
    return (size - 1) * stride - 2 * padding + kernel
"""
ENCODER = """
class Encoder(nn.Module):
    def __init__(self, num_outputs=64):
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(1, 32, 4, stride=2, padding=1), nn.LeakyReLU(0.2),
            nn.Conv2d(32, 64, 4, stride=2, padding=1), nn.BatchNorm2d(64), nn.LeakyReLU(0.2),
            nn.Conv2d(64, 128, 3, stride=2), nn.BatchNorm2d(128), nn.LeakyReLU(0.2),
            nn.Conv2d(128, 256, 3, stride=2), nn.BatchNorm2d(256), nn.LeakyReLU(0.2),
        )
        self.head = nn.Linear(256, num_outputs)

    def forward(self, x):
        h = self.net(x)
        return self.head(h.flatten(1))
"""
DECODER = """
class Decoder(nn.Module):
    def __init__(self, latent_dim=64):
        super().__init__()
        self.head = nn.Linear(latent_dim, 256)
        self.net = nn.Sequential(
            nn.BatchNorm2d(256), nn.LeakyReLU(0.2),
            nn.ConvTranspose2d(256, 128, 3, stride=2), nn.BatchNorm2d(128), nn.LeakyReLU(0.2),
            nn.ConvTranspose2d(128, 64, 3, stride=2), nn.BatchNorm2d(64), nn.LeakyReLU(0.2),
            nn.ConvTranspose2d(64, 32, 4, stride=2, padding=1), nn.LeakyReLU(0.2),
            nn.ConvTranspose2d(32, 1, 4, stride=2, padding=1),
        )

    def forward(self, z):
        h = self.net(self.head(z).view(-1, 256, 1, 1))
        return torch.sigmoid(h)
"""
AUTOENCODER = """
class AutoEncoder(nn.Module):
    def __init__(self, latent_dim=64):
        super().__init__()
        self.enc, self.dec = Encoder(latent_dim), Decoder(latent_dim)

    def encode(self, x):
        return self.enc(x)

    def decode(self, z):
        return self.dec(z)

    def forward(self, x):
        return self.decode(self.encode(x))

    def reconstruct(self, x):
        training = self.training
        self.eval()
        with torch.no_grad():
            out = self(x)
        self.train(training)
        return out
"""
ERROR = "def squared_error(x_hat, x):\n    return "
EPOCH = """
def train_epoch(model, loader, optimizer, loss_terms):
    model.train()
    sums, count = {}, 0
    for images, labels in loader:
        optimizer.zero_grad()
        terms = loss_terms(model, images)
        loss = terms["loss"].mean()
        loss.backward()
        optimizer.step()
        for name, value in terms.items():
            sums[name] = sums.get(name, 0.0) + value.sum().item()
        count += len(images)
    return {name: value / count for name, value in sums.items()}
"""
EVALUATE = """
def evaluate(model, loader, loss_terms):
    training = model.training
    model.eval()
    sums, count = {}, 0
    with torch.no_grad():
        for images, labels in loader:
            terms = loss_terms(model, images)
            for name, value in terms.items():
                sums[name] = sums.get(name, 0.0) + value.sum().item()
            count += len(images)
    model.train(training)
    return {name: value / count for name, value in sums.items()}
"""
BY_LABEL = """
def error_by_label(model, loader):
    training = model.training
    model.eval()
    sums, counts = {}, {}
    with torch.no_grad():
        for images, labels in loader:
            errors = ((model(images) - images) ** 2).flatten(1).sum(1)
            for label in labels.unique().tolist():
                chosen = labels == label
                sums[label] = sums.get(label, 0.0) + errors[chosen].sum().item()
                counts[label] = counts.get(label, 0) + chosen.sum().item()
    model.train(training)
    return {label: sums[label] / counts[label] for label in sorted(sums)}
"""
OWN_ERROR = BY_LABEL.replace(
    "((model(images) - images) ** 2).flatten(1).sum(1)", "squared_error(model(images), images)"
)
STARTER = next(e.body for e in load_assignment("ps1").exercises if e.id == "ps1_fault")
SAMPLE = """
def sample_prior(decoder, num_samples, latent_dim, generator=None):
    training = decoder.training
    decoder.eval()
    with torch.no_grad():
        z = torch.randn(num_samples, latent_dim, generator=generator)
        images = decoder(z)
    decoder.train(training)
    return images
"""
PCA = """
def pca_reconstruct(train, x, num_components):
    mean = train.mean(0)
    U, S, V = torch.linalg.svd(train - mean, full_matrices=False)
    basis = V[:num_components]
    return (x - mean) @ basis.T @ basis + mean
"""


RIGHT = [
    ("conv_size", SIZES),
    (
        "conv_size",
        """
        def conv_output_size(size: int, kernel: int, stride: int, padding: int = 0) -> int:
            return math.floor((size + 2 * padding - kernel) / stride + 1)

        def conv_transpose_output_size(size, kernel, stride, padding=0):
            layer = nn.ConvTranspose2d(1, 1, kernel, stride, padding)
            return layer(torch.zeros(1, 1, size, size)).shape[-1]
        """,
    ),
    ("encoder", ENCODER),
    (
        "encoder",
        """
        class Encoder(nn.Module):
            def __init__(self, num_outputs: int = 64) -> None:
                super().__init__()
                self.out = nn.Linear(256, num_outputs)
                self.c4 = nn.Conv2d(128, 256, (3, 3), 2, 0)
                self.c3 = nn.Conv2d(64, 128, (3, 3), 2, 0)
                self.c2 = nn.Conv2d(32, 64, (4, 4), (2, 2), (1, 1))
                self.c1 = nn.Conv2d(1, 32, (4, 4), (2, 2), (1, 1))
                self.bn = nn.ModuleDict({str(n): nn.BatchNorm2d(n) for n in (64, 128, 256)})

            def forward(self, x: Tensor) -> Tensor:
                x = F.leaky_relu(self.c1(x), 0.2, inplace=True)
                for layer in (self.c2, self.c3, self.c4):
                    x = layer(x)
                    x = F.leaky_relu(self.bn[str(x.shape[1])](x), negative_slope=0.2)
                return self.out(x.mean((2, 3)))
        """,
    ),
    ("encoder", swap(ENCODER, ("h.flatten(1)", "h.view(h.size(0), -1)"))),
    ("encoder", swap(ENCODER, ("h.flatten(1)", "h.squeeze(-1).squeeze(-1)"))),
    ("decoder", DECODER),
    ("decoder", swap(DECODER, ("torch.sigmoid(h)", "1 / (1 + torch.exp(-h))"))),
    ("decoder", swap(DECODER, ("torch.sigmoid(h)", "(torch.tanh(h / 2) + 1) / 2"))),
    (
        "decoder",
        """
        class Decoder(nn.Module):
            def __init__(self, latent_dim: int = 64) -> None:
                super().__init__()
                up = nn.ConvTranspose2d
                self.layers = nn.ModuleList(
                    [up(256, 128, 3, 2), up(128, 64, 3, 2), up(64, 32, 4, 2, 1), up(32, 1, 4, 2, 1)]
                )
                self.first = nn.Linear(latent_dim, 256)
                self.norms = nn.ModuleList([nn.BatchNorm2d(256), nn.BatchNorm2d(128),
                nn.BatchNorm2d(64)])

            def forward(self, z):
                h = self.first(z)[:, :, None, None]
                for number, layer in enumerate(self.layers):
                    if number < len(self.norms):
                        h = self.norms[number](h)
                    h = layer(F.leaky_relu(h, 0.2))
                return h.sigmoid()
        """,
    ),
    ("autoencoder", AUTOENCODER),
    (
        "autoencoder",
        swap(AUTOENCODER, ("out = self(x)", "out = self.decode(self.encode(x)).detach()")),
    ),
    (
        "autoencoder",
        swap(
            AUTOENCODER,
            ("    def reconstruct", "    @torch.no_grad()\n    def reconstruct"),
            ("        with torch.no_grad():\n            out", "        out"),
        ),
    ),
    ("squared_error", ERROR + "(x - x_hat).pow(2).sum(dim=tuple(range(1, x.ndim)))"),
    ("squared_error", ERROR + "F.mse_loss(x_hat, x, reduction='none').view(len(x), -1).sum(-1)"),
    ("squared_error", ERROR + "torch.stack([((a - b) ** 2).sum() for a, b in zip(x_hat, x)])"),
    ("squared_error", ERROR + "torch.einsum('b...,b...->b', x_hat - x, x_hat - x)"),
    ("squared_error", ERROR + "(x.double() - x_hat.double()).flatten(1).norm(dim=1) ** 2"),
    ("train_epoch", EPOCH),
    (
        "train_epoch",
        """
        def train_epoch(model: nn.Module, loader, optimizer, loss_terms) -> dict[str, float]:
            device = next(model.parameters()).device
            seen, totals = 0, None
            for batch in loader:
                x = batch[0].to(device, non_blocking=True)
                model.train()
                terms = loss_terms(model, x)
                terms["loss"].sum().div(x.shape[0]).backward()
                optimizer.step()
                model.zero_grad(set_to_none=False)
                sums = {k: v.detach().double().sum() for k, v in terms.items()}
                totals = sums if totals is None else {k: totals[k] + sums[k] for k in sums}
                seen += x.shape[0]
            return {k: float(v) / seen for k, v in totals.items()}
        """,
    ),
    (
        "train_epoch",
        """
        def train_epoch(model, loader, optimizer, loss_terms):
            model.train()
            collected = {}
            for images, _ in loader:
                def closure():
                    optimizer.zero_grad()
                    terms = loss_terms(model, images)
                    loss = torch.mean(terms["loss"])
                    loss.backward()
                    for name, values in terms.items():
                        collected.setdefault(name, []).extend(values.tolist())
                    return loss
                optimizer.step(closure)
            return {name: sum(values) / len(values) for name, values in collected.items()}
        """,
    ),
    ("evaluate", EVALUATE),
    (
        "evaluate",
        """
        @torch.inference_mode()
        def evaluate(model, loader, loss_terms):
            was = model.training
            try:
                model.train(False)
                parts = [loss_terms(model, batch[0]) for batch in loader]
            finally:
                model.train(was)
            return {key: torch.cat([part[key] for part in parts]).mean().item() for key in parts[0]}
        """,
    ),
    ("fault", BY_LABEL),
    (
        "fault",
        """
        @torch.inference_mode()
        def error_by_label(model, loader):
            was = model.training
            model.eval()
            pairs = [(squared_error(model(x), x), y) for x, y in loader]
            model.train(was)
            errors, labels = (torch.cat(parts) for parts in zip(*pairs))
            return {int(k): float(errors[labels == k].mean()) for k in labels.unique()}
        """,
    ),
    (
        "fault",
        """
        def error_by_label(model, loader):
            found = {}
            def measure(model, images):
                return {"loss": squared_error(model(images), images)}
            for label in sorted({int(y) for _, labels in loader for y in labels}):
                only = [(x[y == label], y[y == label]) for x, y in loader if (y == label).any()]
                found[label] = evaluate(model, only, measure)["loss"]
            return found
        """,
    ),
    ("sample_prior", SAMPLE),
    (
        "sample_prior",
        """
        def sample_prior(decoder, num_samples, latent_dim, generator=None):
            device = next(decoder.parameters()).device
            codes = torch.zeros(num_samples, latent_dim, device=device).normal_(generator=generator)
            mode = decoder.training
            decoder.eval()
            images = decoder(codes).detach()
            decoder.train(mode)
            return images
        """,
    ),
    ("pca", PCA),
    (
        "pca",
        """
        def pca_reconstruct(train, x, num_components):
            centre = train.mean(0, keepdim=True)
            covariance = (train - centre).T @ (train - centre) / (len(train) - 1)
            values, vectors = torch.linalg.eigh(covariance)
            top = vectors[:, values.argsort(descending=True)[:num_components]]
            return centre + ((x - centre) @ top) @ top.T
        """,
    ),
    (
        "pca",
        """
        def pca_reconstruct(train, x, num_components):
            from sklearn.decomposition import PCA
            pca = PCA(num_components).fit(train.numpy())
            return torch.from_numpy(pca.inverse_transform(pca.transform(x.numpy())))
        """,
    ),
    (
        "pca",
        """
        def pca_reconstruct(train, x, num_components):
            mean = train.mean(0)
            _, _, V = torch.pca_lowrank(train, q=min(train.shape), niter=4)
            V = V[:, :num_components]
            return (x - mean) @ V @ V.T + mean
        """,
    ),
    (
        "pca",
        """
        def pca_reconstruct(train, x, num_components):
            train, x = train.double(), x.double()
            mean = train.mean(0)
            v = torch.linalg.svd((train - mean).T)[0][:, :num_components]
            return mean + (x - mean) @ (v @ v.T)
        """,
    ),
]

WRONG = [
    # sizes
    (
        "conv_size",
        "rounded to the nearest",
        swap(
            SIZES,
            (
                "(size + 2 * padding - kernel) // stride + 1",
                "round((size + 2 * padding - kernel) / stride) + 1",
            ),
        ),
        "stride above 1",
    ),
    (
        "conv_size",
        "stride times padding",
        swap(SIZES, ("2 * padding - kernel", "stride * padding - kernel")),
        "with padding",
    ),
    ("conv_size", "stride ignored", swap(SIZES, (" // stride + 1", " + 1")), "stride above 1"),
    (
        "conv_size",
        "output padding",
        swap(SIZES, ("- 2 * padding + kernel", "- 2 * padding + kernel + 1")),
        "always by +1",
    ),
    (
        "conv_size",
        "a tensor",
        swap(SIZES, ("return (size - 1)", "return torch.tensor(size - 1)")),
        "whole number",
    ),
    # the encoder
    (
        "encoder",
        "padding too many, patched",
        swap(
            ENCODER,
            ("3, stride=2)", "3, stride=2, padding=1)"),
            ("nn.Linear(256,", "nn.Linear(1024,"),
        ),
        "more than the table",
    ),
    (
        "encoder",
        "stride missing",
        swap(ENCODER, ("nn.Conv2d(64, 128, 3, stride=2)", "nn.Conv2d(64, 128, 3)")),
        "shapes cannot be multiplied",
    ),
    (
        "encoder",
        "leaky relu at the end",
        swap(
            ENCODER,
            ("return self.head(h.flatten(1))", "return F.leaky_relu(self.head(h.flatten(1)), 0.2)"),
        ),
        "damped",
    ),
    (
        "encoder",
        "sigmoid at the end",
        swap(
            ENCODER,
            ("return self.head(h.flatten(1))", "return torch.sigmoid(self.head(h.flatten(1)))"),
        ),
        "never negative",
    ),
    (
        "encoder",
        "outputs fixed",
        swap(ENCODER, ("nn.Linear(256, num_outputs)", "nn.Linear(256, 64)")),
        "shape (5, 64)",
    ),
    (
        "encoder",
        "no norms",
        swap(
            ENCODER,
            (" nn.BatchNorm2d(64),", ""),
            (" nn.BatchNorm2d(128),", ""),
            (" nn.BatchNorm2d(256),", ""),
        ),
        "fewer",
    ),
    (
        "encoder",
        "a norm after the first",
        swap(
            ENCODER,
            (
                "padding=1), nn.LeakyReLU(0.2),\n            nn.Conv2d(32",
                "padding=1), nn.BatchNorm2d(32), nn.LeakyReLU(0.2),\n            nn.Conv2d(32",
            ),
        ),
        "64 more",
    ),
    (
        "encoder",
        "no biases",
        swap(ENCODER, ("stride=2, padding=1)", "stride=2, padding=1, bias=False)")),
        "96 fewer",
    ),
    (
        "encoder",
        "no nonlinearity",
        swap(ENCODER, ("nn.LeakyReLU(0.2),", "nn.Identity(),")),
        "linear function",
    ),
    ("encoder", "relu", swap(ENCODER, ("nn.LeakyReLU(0.2)", "nn.ReLU()")), "passes 0.00"),
    (
        "encoder",
        "norms after the activations",
        swap(
            ENCODER,
            ("nn.BatchNorm2d(64), nn.LeakyReLU(0.2)", "nn.LeakyReLU(0.2), nn.BatchNorm2d(64)"),
            ("nn.BatchNorm2d(128), nn.LeakyReLU(0.2)", "nn.LeakyReLU(0.2), nn.BatchNorm2d(128)"),
            ("nn.BatchNorm2d(256), nn.LeakyReLU(0.2)", "nn.LeakyReLU(0.2), nn.BatchNorm2d(256)"),
        ),
        "wrong side",
    ),
    (
        "encoder",
        "an unused layer",
        swap(
            ENCODER,
            (
                "        self.head = nn.Linear",
                "        self.spare = nn.Linear(3, 3)\n        self.head = nn.Linear",
            ),
        ),
        "12 more",
    ),
    (
        "encoder",
        "detached",
        swap(ENCODER, ("h = self.net(x)", "h = self.net(x).detach()")),
        "No gradient reaches",
    ),
    (
        "encoder",
        "batch statistics always",
        swap(
            ENCODER,
            ("        h = self.net(x)", "        self.net.train()\n        h = self.net(x)"),
        ),
        "Expected more than 1 value",
    ),
    ("encoder", "no return", swap(ENCODER, ("return self.head", "self.head")), "return"),
    ("encoder", "no super", swap(ENCODER, ("        super().__init__()\n", "")), "AttributeError"),
    # the decoder
    (
        "decoder",
        "27 pixels",
        swap(DECODER, ("32, 1, 4, stride=2, padding=1", "32, 1, 3, stride=2, padding=1")),
        "27, 27",
    ),
    (
        "decoder",
        "tanh before the sigmoid",
        swap(DECODER, ("torch.sigmoid(h)", "torch.sigmoid(torch.tanh(h))")),
        "stay between 0.27 and 0.73",
    ),
    ("decoder", "tanh", swap(DECODER, ("torch.sigmoid(h)", "torch.tanh(h)")), "What keeps pixels"),
    ("decoder", "relu", swap(DECODER, ("torch.sigmoid(h)", "F.relu(h)")), "What keeps pixels"),
    ("decoder", "clamp", swap(DECODER, ("torch.sigmoid(h)", "h.clamp(0, 1)")), "linear function"),
    (
        "decoder",
        "flat images",
        swap(DECODER, ("torch.sigmoid(h)", "torch.sigmoid(h).flatten(1)")),
        "shape (5, 784)",
    ),
    (
        "decoder",
        "squeezed",
        swap(DECODER, ("torch.sigmoid(h)", "torch.sigmoid(h).squeeze()")),
        "squeezed",
    ),
    (
        "decoder",
        "latents fixed",
        swap(DECODER, ("nn.Linear(latent_dim, 256)", "nn.Linear(64, 256)")),
        "shapes cannot be multiplied",
    ),
    (
        "decoder",
        "first norm missing",
        swap(DECODER, ("            nn.BatchNorm2d(256), nn", "            nn")),
        "512 fewer",
    ),
    (
        "decoder",
        "batch and channels mixed",
        swap(
            DECODER, ("self.head(z).view(-1, 256, 1, 1)", "self.head(z).T.reshape(-1, 256, 1, 1)")
        ),
        "neighbours|other images",
    ),
    (
        "decoder",
        "no nonlinearity",
        swap(DECODER, ("nn.LeakyReLU(0.2)", "nn.Identity()")),
        "linear function",
    ),
    ("decoder", "relu inside", swap(DECODER, ("nn.LeakyReLU(0.2)", "nn.ReLU()")), "passes 0.00"),
    ("decoder", "slope", swap(DECODER, ("nn.LeakyReLU(0.2)", "nn.LeakyReLU()")), "passes 0.01"),
    (
        "decoder",
        "first activation missing",
        swap(DECODER, ("nn.BatchNorm2d(256), nn.LeakyReLU(0.2),", "nn.BatchNorm2d(256),")),
        "is there none",
    ),
    # the two together
    (
        "autoencoder",
        "decoder skipped",
        swap(AUTOENCODER, ("return self.decode(self.encode(x))", "return self.encode(x)")),
        "forward pass gives something else",
    ),
    (
        "autoencoder",
        "returns the input",
        swap(AUTOENCODER, ("return self.decode(self.encode(x))", "return x")),
        "forward pass gives something else",
    ),
    (
        "autoencoder",
        "a pair",
        swap(
            AUTOENCODER,
            (
                "return self.decode(self.encode(x))",
                "z = self.encode(x)\n        return self.decode(z), z",
            ),
        ),
        "a tuple of 2",
    ),
    (
        "autoencoder",
        "code cut off",
        swap(AUTOENCODER, ("return self.dec(z)", "return self.dec(torch.zeros_like(z))")),
        "do not get through",
    ),
    (
        "autoencoder",
        "latents fixed",
        swap(AUTOENCODER, ("Encoder(latent_dim), Decoder(latent_dim)", "Encoder(64), Decoder(64)")),
        "shape (6, 64)",
    ),
    # the error
    (
        "squared_error",
        "one dimension only",
        ERROR + "((x_hat - x) ** 2).sum(1)",
        "still has to be reduced",
    ),
    (
        "squared_error",
        "last dimension only",
        ERROR + "((x_hat - x) ** 2).sum(-1)",
        "still has to be reduced",
    ),
    ("squared_error", "over the batch", ERROR + "((x_hat - x) ** 2).sum(0)", "shape"),
    ("squared_error", "absolute", ERROR + "(x_hat - x).abs().flatten(1).sum(1)", "made positive"),
    ("squared_error", "distance", ERROR + "(x_hat - x).flatten(1).norm(dim=1)", "distance itself"),
    (
        "squared_error",
        "square of the sum",
        ERROR + "(x_hat - x).flatten(1).sum(1) ** 2",
        "added up first",
    ),
    (
        "squared_error",
        "sum of squares",
        ERROR + "(x_hat ** 2 - x ** 2).flatten(1).sum(1)",
        "each side were squared",
    ),
    (
        "squared_error",
        "batch mean subtracted",
        ERROR + "((x_hat - x) ** 2).flatten(1).sum(1) - ((x_hat - x) ** 2).mean()",
        "same amount",
    ),
    (
        "squared_error",
        "numpy",
        ERROR + "((x_hat.detach().numpy() - x.numpy()) ** 2).reshape(len(x), -1).sum(1)",
        "ndarray",
    ),
    # the loop
    (
        "train_epoch",
        "zero_grad before the loop",
        swap(
            EPOCH,
            ("        optimizer.zero_grad()\n", ""),
            ("    sums, count", "    optimizer.zero_grad()\n    sums, count"),
        ),
        "added to them",
    ),
    (
        "train_epoch",
        "one step",
        swap(
            EPOCH,
            ("        optimizer.step()\n", ""),
            ("    return", "    optimizer.step()\n    return"),
        ),
        "one step in an epoch of 3",
    ),
    (
        "train_epoch",
        "two steps",
        swap(
            EPOCH,
            ("        optimizer.step()\n", "        optimizer.step()\n        optimizer.step()\n"),
        ),
        "6 steps in an epoch of 3",
    ),
    (
        "train_epoch",
        "step before backward",
        swap(
            EPOCH,
            (
                "        loss.backward()\n        optimizer.step()\n",
                "        optimizer.step()\n        loss.backward()\n",
            ),
        ),
        "zero or gone",
    ),
    (
        "train_epoch",
        "no graph",
        swap(
            EPOCH,
            (
                "        terms = loss_terms",
                "        with torch.no_grad():\n            terms = loss_terms",
            ),
        ),
        "does not require grad",
    ),
    (
        "train_epoch",
        "another term",
        swap(EPOCH, ('terms["loss"].mean()', 'terms["worst"].mean()')),
        "change of the weights",
    ),
    (
        "train_epoch",
        "maximised",
        swap(EPOCH, ('terms["loss"].mean()', '-terms["loss"].mean()')),
        "wrong sign",
    ),
    (
        "train_epoch",
        "a new optimiser an epoch",
        swap(
            EPOCH,
            (
                "    model.train()",
                "    optimizer = type(optimizer)(model.parameters(), lr=0.05) if "
                "isinstance(optimizer, torch.optim.Adam) else optimizer\n    model.train()",
            ),
        ),
        "optimiser that was passed in",
    ),
    (
        "train_epoch",
        "first batch only",
        swap(
            EPOCH,
            ("        count += len(images)\n", "        count += len(images)\n        break\n"),
        ),
        "one step",
    ),
    (
        "train_epoch",
        "sum of means",
        swap(
            EPOCH,
            ("value.sum().item()", "value.mean().item()"),
            ("return {name: value / count", "return {name: value"),
        ),
        "batches of equal size",
    ),
    (
        "train_epoch",
        "sums not divided",
        swap(EPOCH, ("return {name: value / count", "return {name: value")),
        "10 times",
    ),
    (
        "train_epoch",
        "last batch reported",
        swap(
            EPOCH,
            (
                "sums.get(name, 0.0) + value.sum().item()",
                "value.mean().item() * (count + len(images))",
            ),
        ),
        "last batch alone",
    ),
    (
        "train_epoch",
        "divided by batches",
        swap(EPOCH, ("count += len(images)", "count += 1")),
        "5 times",
    ),
    (
        "train_epoch",
        "loss only",
        swap(
            EPOCH,
            (
                "return {name: value / count for name, value in sums.items()}",
                'return sums["loss"] / count',
            ),
        ),
        "dict",
    ),
    ("train_epoch", "nothing returned", swap(EPOCH, ("    return {", "    {")), "return"),
    # measuring
    (
        "evaluate",
        "learns",
        swap(
            EVALUATE,
            (
                "    with torch.no_grad():\n",
                "    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)\n    if True:\n",
            ),
            (
                "            for name",
                "            terms['loss'].mean().backward()\n            optimizer.step()\n     "
                "       for name",
            ),
        ),
        "change while it is evaluated",
    ),
    (
        "evaluate",
        "propagates back",
        swap(
            EVALUATE,
            ("with torch.no_grad():", "if True:"),
            (
                "            for name",
                "            terms['loss'].mean().backward()\n            for name",
            ),
        ),
        "Gradients are left",
    ),
    (
        "evaluate",
        "first batch only",
        swap(
            EVALUATE,
            (
                "            count += len(images)\n",
                "            count += len(images)\n            break\n",
            ),
        ),
        "first batch alone",
    ),
    # somebody else's measurement
    (
        "fault",
        "always to training",
        swap(BY_LABEL, ("model.train(training)", "model.train()")),
        "left in training mode",
    ),
    (
        "fault",
        "mode switched within the loop",
        swap(
            BY_LABEL,
            ("    model.eval()\n", ""),
            (
                "            errors",
                "            model.train(); model(images); model.eval()\n            errors",
            ),
        ),
        "moved while it was measured",
    ),
    (
        "fault",
        "divided by all batches",
        """
        def error_by_label(model, loader):
            was = model.training
            model.eval()
            sums = {}
            with torch.no_grad():
                for x, y in loader:
                    errors = squared_error(model(x), x)
                    for k in y.unique().tolist():
                        sums[k] = sums.get(k, 0.0) + errors[y == k].mean().item()
            model.train(was)
            return {k: value / len(loader) for k, value in sums.items()}
        """,
        "divided by all batches",
    ),
    (
        "fault",
        "sums",
        swap(BY_LABEL, ("sums[label] / counts[label]", "sums[label]")),
        "the right value",
    ),
    (
        "fault",
        "first batch only",
        swap(
            BY_LABEL, ("    model.train(training)", "            break\n    model.train(training)")
        ),
        "labels in the table|right value",
    ),
    (
        "fault",
        "labels as they come",
        swap(
            BY_LABEL,
            ("labels.unique().tolist()", "dict.fromkeys(labels.tolist())"),
            ("in sorted(sums)", "in sums"),
        ),
        "rising",
    ),
    (
        "fault",
        "plain numbers, and gradients all the same",
        swap(BY_LABEL, ("with torch.no_grad():", "with torch.enable_grad():")),
        "Gradients are tracked",
    ),
    (
        "fault",
        "names for labels",
        swap(BY_LABEL, ("{label: sums", "{str(label): sums")),
        "labels in the table",
    ),
    (
        "fault",
        "a list",
        swap(BY_LABEL, ("return {label:", "return [label and"), ("(sums)}", "(sums)]")),
        "dict",
    ),
    # sampling
    (
        "sample_prior",
        "too narrow",
        swap(SAMPLE, ("z = torch", "z = 0.8 * torch")),
        "standard deviation 0.",
    ),
    (
        "sample_prior",
        "one code for all",
        swap(
            SAMPLE,
            (
                "torch.randn(num_samples, latent_dim, generator=generator)",
                "torch.randn(1, latent_dim, generator=generator).expand(num_samples, -1)",
            ),
        ),
        "one and the same",
    ),
    (
        "sample_prior",
        "one number a code",
        swap(
            SAMPLE,
            (
                "torch.randn(num_samples, latent_dim, generator=generator)",
                "torch.randn(num_samples, 1, generator=generator).expand(-1, latent_dim)",
            ),
        ),
        "whole row",
    ),
    (
        "sample_prior",
        "seeded without a generator",
        swap(
            SAMPLE,
            (
                "        z =",
                "        generator = generator or torch.Generator().manual_seed(0)\n        z =",
            ),
        ),
        "every call",
    ),
    (
        "sample_prior",
        "the generator's seed only",
        swap(
            SAMPLE,
            (
                "        z =",
                "        if generator is not None:\n"
                "            torch.manual_seed(generator.initial_seed())\n        z =",
            ),
            (", generator=generator", ""),
        ),
        "moves on",
    ),
    (
        "sample_prior",
        "standardised",
        swap(
            SAMPLE, ("        images =", "        z = (z - z.mean()) / z.std()\n        images =")
        ),
        "exactly the mean 0",
    ),
    (
        "sample_prior",
        "standardised by dimension",
        swap(SAMPLE, ("        images =", "        z = z - z.mean(0)\n        images =")),
        "exactly the mean 0",
    ),
    (
        "sample_prior",
        "mode not restored",
        swap(SAMPLE, ("    decoder.train(training)\n", "")),
        "left in evaluation mode",
    ),
    (
        "sample_prior",
        "always to training",
        swap(SAMPLE, ("decoder.train(training)", "decoder.train()")),
        "left in training mode",
    ),
    (
        "sample_prior",
        "codes returned",
        swap(SAMPLE, ("images = decoder(z)", "images = z")),
        "shape",
    ),
    (
        "sample_prior",
        "squeezed",
        swap(SAMPLE, ("return images", "return images.squeeze()")),
        "squeezed",
    ),
    (
        "sample_prior",
        "latents fixed",
        swap(SAMPLE, ("(num_samples, latent_dim", "(num_samples, 64")),
        "shape",
    ),
    # principal components
    (
        "pca",
        "components of x",
        swap(PCA, ("svd(train - mean,", "svd(x - mean,")),
        "itself: are the directions",
    ),
    (
        "pca",
        "left vectors",
        swap(PCA, ("V[:num_components]", "V.T[:num_components]")),
        "shapes cannot be multiplied",
    ),
    (
        "pca",
        "one too many",
        swap(PCA, ("V[:num_components]", "V[:num_components + 1]")),
        "one component more",
    ),
    ("pca", "codes returned", swap(PCA, ("@ basis.T @ basis + mean", "@ basis.T")), "shape (3, 2)"),
    (
        "pca",
        "scaled",
        swap(PCA, ("@ basis.T @ basis", "@ basis.T * S[:num_components] @ basis")),
        "all 7 components",
    ),
    (
        "pca",
        "a random sketch",
        swap(
            PCA,
            (
                "U, S, V = torch.linalg.svd(train - mean, full_matrices=False)",
                "V = torch.pca_lowrank(train, q=num_components)[2].T",
            ),
        ),
        "pca_lowrank",
    ),
    (
        "pca",
        "training examples returned",
        swap(PCA, ("return (x - mean)", "return (train - mean)")),
        "shape (40, 7)",
    ),
]

WORDS = {  # what the check itself observes, beside the message
    ("conv_size", "padding counted once"): "with padding",
    ("conv_size", "plus one missing"): "always by -1",
    ("conv_size", "true division"): "whole number",
    ("conv_size", "rounded up"): "stride above 1",
    ("conv_size", "padding of the transposed convolution added"): "with padding",
    ("conv_size", "one copy of the kernel too many"): "wrong in",
    ("encoder", "padding missing"): "Kernel",
    ("encoder", "padding in every convolution"): "shapes cannot be multiplied",
    ("encoder", "ReLU after the linear layer"): "never negative",
    ("encoder", "tanh after the linear layer"): "does not grow",
    ("encoder", "the batch flattened too"): "shapes",
    ("encoder", "squeeze loses a batch of one"): "batch of one",
    ("encoder", "batch size fixed"): "invalid for input",
    ("encoder", "layers in a plain list"): "fewer",
    ("encoder", "default slope of LeakyReLU"): "passes 0.01",
    ("decoder", "kernel 3 without output_padding"): "shape (5, 1, 25, 25)",
    ("decoder", "padding missing"): "shape",
    ("decoder", "sigmoid missing"): "What keeps pixels",
    ("decoder", "sigmoid twice"): "stay between 0.50 and 0.73",
    ("decoder", "ReLU before the sigmoid"): "stay between 0.50 and 1.00",
    ("decoder", "LeakyReLU before the sigmoid"): "darker than grey",
    ("decoder", "batch size fixed"): "invalid for input",
    ("decoder", "layers in a plain list"): "fewer",
    ("autoencoder", "reconstruct without evaluation mode"): "in evaluation mode",
    ("autoencoder", "mode not restored"): "left in evaluation mode",
    ("autoencoder", "always back to training mode"): "left in training mode",
    ("autoencoder", "gradients tracked in reconstruct"): "graph",
    ("autoencoder", "code detached"): "No gradient reaches",
    ("autoencoder", "halves made anew at every call"): "empty parameter list",
    ("squared_error", "mean over the pixels"): "70 pixels",
    ("squared_error", "mean over everything"): "single number",
    ("squared_error", "sum over everything"): "single number",
    ("squared_error", "dimensions of an image fixed"): "Dimension",
    ("squared_error", "reconstruction detached"): "No gradient reaches",
    ("squared_error", "halved"): "half",
    ("train_epoch", "zero_grad missing"): "added to them",
    ("train_epoch", "zero_grad between backward and step"): "zero or gone",
    ("train_epoch", "step missing"): "never takes a step",
    ("train_epoch", "loss cut off from the model"): "not propagated",
    ("train_epoch", "tensors in the report"): "plain number",
    ("train_epoch", "loss summed over the batch"): "10 images in the batch",
    ("train_epoch", "labels in place of the images"): "loss_terms(model, labels",
    ("train_epoch", "short batch skipped"): "2 steps in an epoch of 3",
    ("train_epoch", "a new optimiser for every batch"): "optimiser that was passed in",
    ("train_epoch", "a new optimiser for every epoch"): "optimiser that was passed in",
    ("train_epoch", "batches averaged, not images"): "batches' means",
    ("train_epoch", "training mode not set"): "evaluation mode while it is trained",
    ("evaluate", "no evaluation mode"): "training mode",
    ("evaluate", "gradients tracked"): "Gradients are tracked",
    ("evaluate", "mode not restored"): "left in evaluation mode",
    ("evaluate", "always back to training mode"): "left in training mode",
    ("evaluate", "batches averaged, not images"): "batches' means",
    ("evaluate", "tensors in the report"): "plain number",
    ("fault", "Monday: no evaluation mode"): "that of a model in training mode",
    ("fault", "Monday: mode not restored"): "left in evaluation mode",
    ("fault", "Tuesday: means of the batches' means"): "alone of its kind",
    ("fault", "Wednesday: gradients tracked"): "Gradients are tracked",
    ("fault", "Wednesday: tensors in the table"): "plain number",
    ("pca", "not centred"): "mean of the training examples",
    ("pca", "mean not put back"): "mean of the training examples",
    ("pca", "centred with the mean of x"): "The mean of `x`",
    ("pca", "directions of least variance"): "least variance",
    ("sample_prior", "uniform codes"): "mean",
    ("sample_prior", "seed set inside"): "every call",
    ("sample_prior", "generator not used"): "generator",
    ("sample_prior", "no evaluation mode"): "in training mode",
    ("sample_prior", "gradients tracked"): "graph",
}


def _id(case):
    return "-".join(case[:2]) if len(case) == 4 else case[0]


@pytest.mark.parametrize("name", EXERCISES)
def test_the_reference_scores_in_full(judged, name):
    for seed in range(3 if name in SLOW else 20):
        verdict = judged(f"ps1_{name}", seed=seed)
        assert verdict.verdict == "pass", (seed, verdict)
        assert verdict.score == verdict.max_score


@pytest.mark.long
@pytest.mark.parametrize("name", sorted(SLOW))
def test_the_reference_scores_in_full_over_many_seeds(judged, name):
    for seed in range(100, 160):
        assert judged(f"ps1_{name}", seed=seed).verdict == "pass", seed


@pytest.mark.parametrize(("name", "source"), RIGHT, ids=map(_id, RIGHT))
def test_another_right_answer_scores_in_full(judged, name, source):
    for seed in range(2 if name in SLOW else 5):
        verdict = judged(f"ps1_{name}", source, seed=seed)
        assert verdict.verdict == "pass", (seed, verdict.message, verdict.detail)


@pytest.mark.parametrize(("name", "mistake", "source", "words"), WRONG, ids=map(_id, WRONG))
def test_a_known_mistake_loses_points_and_is_described(judged, name, mistake, source, words):
    verdict = judged(f"ps1_{name}", source)
    assert verdict.verdict in ("partial", "fail", "error"), verdict
    assert verdict.score < verdict.max_score
    messages = " ".join(part.message for part in verdict.criteria)
    assert any(word in messages for word in words.split("|"))
    assert verdict.message


@pytest.mark.parametrize("one", mistakes("ps1", quick=2))
def test_a_misconception_is_named_and_described(judged, one):
    assert_named(judged, one.exercise, one, WORDS)


@pytest.mark.parametrize("name", EXERCISES)
def test_a_blank_scores_nothing(judged, name):
    source = "\n".join(
        f"class {solution}(nn.Module):\n    def __init__(self, *sizes):\n"
        "        super().__init__()\n        raise NotImplementedError()"
        if solution[0].isupper()
        else f"def {solution}(*args, **kwargs):\n    raise NotImplementedError()"
        for solution in EXERCISES[name]
    )
    verdict = judged(f"ps1_{name}", source, solutions=[f"a.b.{s}" for s in EXERCISES[name]])
    assert (verdict.verdict, verdict.score) == ("blank", 0)


def test_a_wrong_error_does_not_cost_the_loops(judged):
    wrong = ERROR + "((x_hat - x) ** 2).mean()"
    for name in ("train_epoch", "evaluate", "autoencoder", "fault"):
        answer = BY_LABEL if name == "fault" else ""
        assert judged(f"ps1_{name}", wrong, answer).verdict == "pass"
    # An answer that calls the student's own error takes its scale over, and is right so.
    halved = ERROR + "((x_hat - x) ** 2).flatten(1).sum(1) / 2"
    assert judged("ps1_fault", halved, OWN_ERROR).verdict == "pass"


def test_the_starter_as_it_was_handed_out_scores_nothing(judged):
    for seed in range(5):
        verdict = judged("ps1_fault", STARTER, seed=seed)
        assert (verdict.verdict, verdict.score) == ("fail", 0), verdict


def test_each_fault_that_is_mended_earns_its_share(judged):
    averages = swap(
        STARTER,
        (".mean()\n", ".sum()\n"),
        ("batches.get(label, 0) + 1", "batches.get(label, 0) + int((labels == label).sum())"),
    )
    assert judged("ps1_fault", averages, points=2).score == 0.75
    mode = swap(
        STARTER,
        ("    totals, batches", "    was = model.training\n    model.eval()\n    totals, batches"),
        ("    return {", "    model.train(was)\n    return {"),
    )
    assert judged("ps1_fault", mode, points=2).score == 0.75
    graph = swap(
        STARTER,
        (
            "errors = squared_error(model(images), images)",
            "with torch.no_grad():\n            errors = squared_error(model(images), images)",
        ),
        (".mean()\n", ".mean().item()\n"),
    )
    assert judged("ps1_fault", graph, points=2).score == 0.5
