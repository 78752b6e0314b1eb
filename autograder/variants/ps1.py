"""Right answers to ps1, the autoencoder, in other words than the reference's."""

from autograder.misconceptions import swapped
from autograder.misconceptions.ps1 import AUTOENCODER, DECODER, ENCODER, EVALUATE, SAMPLE
from autograder.variants import Variant

KEEPING_MODE = """\
from contextlib import contextmanager


@contextmanager
def measuring(module):
    was = module.training
    module.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        module.train(was)


"""
"""The small helper that the notebook suggests."""

VARIANTS: tuple[Variant, ...] = (
    # Sizes.
    Variant(
        "ps1_conv_size",
        "floor, and a layer that is asked",
        """\
import math


def conv_output_size(size: int, kernel: int, stride: int, padding: int = 0) -> int:
    return math.floor((size + 2 * padding - kernel) / stride + 1)


def conv_transpose_output_size(size, kernel, stride, padding=0):
    layer = nn.ConvTranspose2d(1, 1, kernel, stride, padding)
    return layer(torch.zeros(1, 1, size, size)).shape[-1]
""",
    ),
    Variant(
        "ps1_conv_size",
        "places counted",
        """\
def conv_output_size(size, kernel, stride, padding=0):
    padded = padding + size + padding
    return len(range(0, padded - kernel + 1, stride))


def conv_transpose_output_size(size, kernel, stride, padding=0):
    covered = max(number * stride + kernel for number in range(size))
    return covered - padding - padding
""",
    ),
    Variant(
        "ps1_conv_size",
        "step by step",
        """\
def conv_output_size(size, kernel, stride, padding=0):
    row, start, count = size + 2 * padding, 0, 0
    while start + kernel <= row:
        count += 1
        start += stride
    return count


def conv_transpose_output_size(size, kernel, stride, padding=0):
    row = kernel
    for _ in range(size - 1):
        row += stride
    row -= 2 * padding
    return row
""",
    ),
    Variant(
        "ps1_conv_size",
        "divided upwards",
        """\
def conv_output_size(size, kernel, stride, padding=0):
    starts = size + 2 * padding - kernel + 1
    return -(-starts // stride)


def conv_transpose_output_size(size, kernel, stride, padding=0):
    overlap = kernel - stride
    return size * stride + overlap - 2 * padding
""",
    ),
    Variant(
        "ps1_conv_size",
        "layers on the meta device",
        """\
def _side(layer_type, size, *settings):
    layer = layer_type(1, 1, *settings, device="meta")
    return layer(torch.empty(1, 1, size, size, device="meta")).size(-1)


def conv_output_size(size, kernel, stride, padding=0):
    return _side(nn.Conv2d, size, kernel, stride, padding)


def conv_transpose_output_size(size, kernel, stride, padding=0):
    return _side(nn.ConvTranspose2d, size, kernel, stride, padding)
""",
    ),
    # The encoder.
    Variant(
        "ps1_encoder",
        "layers by name, activations as functions",
        """\
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
    Variant(
        "ps1_encoder",
        "a Sequential itself",
        """\
class Encoder(nn.Sequential):
    def __init__(self, num_outputs=64):
        channels, layers = (1, 32, 64, 128, 256), []
        kernels, paddings = (4, 4, 3, 3), (1, 1, 0, 0)
        for row, (kernel, padding) in enumerate(zip(kernels, paddings)):
            layers.append(nn.Conv2d(channels[row], channels[row + 1], kernel, 2, padding))
            if row > 0:
                layers.append(nn.BatchNorm2d(channels[row + 1]))
            layers.append(nn.LeakyReLU(0.2))
        super().__init__(*layers, nn.Flatten(), nn.Linear(256, num_outputs))
""",
    ),
    Variant(
        "ps1_encoder",
        "blocks of a helper",
        """\
def block(inside, outside, kernel, padding, norm=True):
    parts = [nn.Conv2d(inside, outside, kernel, stride=2, padding=padding)]
    if norm:
        parts += [nn.BatchNorm2d(outside)]
    return nn.Sequential(*parts, nn.LeakyReLU(0.2, inplace=True))


class Encoder(nn.Module):
    def __init__(self, num_outputs=64):
        nn.Module.__init__(self)
        self.blocks = nn.ModuleList()
        self.blocks.append(block(1, 32, 4, 1, norm=False))
        self.blocks.append(block(32, 64, 4, 1))
        self.blocks.append(block(64, 128, 3, 0))
        self.blocks.append(block(128, 256, 3, 0))
        self.to_code = nn.Linear(256, num_outputs)

    def forward(self, x):
        for one in self.blocks:
            x = one(x)
        return self.to_code(torch.flatten(x, start_dim=1))
""",
    ),
    Variant("ps1_encoder", "view", swapped(ENCODER, ("h.flatten(1)", "h.view(h.size(0), -1)"))),
    Variant(
        "ps1_encoder",
        "two dimensions squeezed",
        swapped(ENCODER, ("h.flatten(1)", "h.squeeze(-1).squeeze(-1)")),
    ),
    Variant(
        "ps1_encoder",
        "the activation written out",
        """\
class Leaky(nn.Module):
    def forward(self, h):
        return torch.maximum(h, 0.2 * h)


"""
        + swapped(ENCODER, ("nn.LeakyReLU(0.2)", "Leaky()")),
    ),
    # The decoder.
    Variant(
        "ps1_decoder",
        "the sigmoid by its formula",
        swapped(
            DECODER,
            ("            nn.Sigmoid(),\n", ""),
            ("return self.convs(h)", "return 1 / (1 + torch.exp(-self.convs(h)))"),
        ),
    ),
    Variant(
        "ps1_decoder",
        "the sigmoid as a tanh",
        swapped(
            DECODER,
            ("            nn.Sigmoid(),\n", ""),
            ("return self.convs(h)", "return (torch.tanh(self.convs(h) / 2) + 1) / 2"),
        ),
    ),
    Variant(
        "ps1_decoder",
        "lists of layers and norms",
        """\
class Decoder(nn.Module):
    def __init__(self, latent_dim: int = 64) -> None:
        super().__init__()
        up = nn.ConvTranspose2d
        self.layers = nn.ModuleList(
            [up(256, 128, 3, 2), up(128, 64, 3, 2), up(64, 32, 4, 2, 1), up(32, 1, 4, 2, 1)]
        )
        self.first = nn.Linear(latent_dim, 256)
        self.norms = nn.ModuleList([nn.BatchNorm2d(256), nn.BatchNorm2d(128), nn.BatchNorm2d(64)])

    def forward(self, z):
        h = self.first(z)[:, :, None, None]
        for number, layer in enumerate(self.layers):
            if number < len(self.norms):
                h = self.norms[number](h)
            h = layer(F.leaky_relu(h, 0.2))
        return h.sigmoid()
""",
    ),
    Variant(
        "ps1_decoder",
        "a Sequential itself",
        """\
class Decoder(nn.Sequential):
    def __init__(self, latent_dim=64):
        super().__init__(nn.Linear(latent_dim, 256), nn.Unflatten(-1, (256, 1, 1)))
        self.append(nn.BatchNorm2d(256)).append(nn.LeakyReLU(0.2))
        for inside, outside in ((256, 128), (128, 64)):
            self.append(nn.ConvTranspose2d(inside, outside, 3, 2))
            self.append(nn.BatchNorm2d(outside)).append(nn.LeakyReLU(0.2))
        self.append(nn.ConvTranspose2d(64, 32, 4, 2, 1)).append(nn.LeakyReLU(0.2))
        self.append(nn.ConvTranspose2d(32, 1, 4, 2, 1)).append(nn.Sigmoid())
""",
    ),
    Variant(
        "ps1_decoder",
        "everything by hand in forward",
        """\
class Decoder(nn.Module):
    def __init__(self, latent_dim=64):
        super().__init__()
        self.fc = nn.Linear(latent_dim, 256)
        self.bn0, self.bn1, self.bn2 = (nn.BatchNorm2d(n) for n in (256, 128, 64))
        self.up1 = nn.ConvTranspose2d(256, 128, kernel_size=3, stride=2)
        self.up2 = nn.ConvTranspose2d(128, 64, kernel_size=3, stride=2)
        self.up3 = nn.ConvTranspose2d(64, 32, kernel_size=4, stride=2, padding=1)
        self.up4 = nn.ConvTranspose2d(32, 1, kernel_size=4, stride=2, padding=1)

    def forward(self, z):
        batch_size = z.shape[0]
        h = self.fc(z).reshape(batch_size, 256, 1, 1)
        h = F.leaky_relu_(self.bn0(h), 0.2)
        h = F.leaky_relu_(self.bn1(self.up1(h)), 0.2)
        h = F.leaky_relu_(self.bn2(self.up2(h)), 0.2)
        h = F.leaky_relu_(self.up3(h), 0.2)
        return F.sigmoid(self.up4(h))
""",
    ),
    # The two together.
    Variant(
        "ps1_autoencoder",
        "no_grad as a decorator",
        swapped(
            AUTOENCODER,
            ("    def reconstruct", "    @torch.no_grad()\n    def reconstruct"),
            ("        with torch.no_grad():\n            x_hat", "        x_hat"),
        ),
    ),
    Variant(
        "ps1_autoencoder",
        "detached within no_grad",
        swapped(AUTOENCODER, ("x_hat = self(x)", "x_hat = self.decode(self.encode(x)).detach()")),
    ),
    Variant(
        "ps1_autoencoder",
        "try and finally",
        """\
class AutoEncoder(nn.Module):
    def __init__(self, latent_dim: int = 64):
        super().__init__()
        self.enc, self.dec = Encoder(latent_dim), Decoder(latent_dim)

    def encode(self, x: Tensor) -> Tensor:
        return self.enc(x)

    def decode(self, z: Tensor) -> Tensor:
        return self.dec(z)

    def forward(self, x: Tensor) -> Tensor:
        return self.dec(self.enc(x))

    @torch.inference_mode()
    def reconstruct(self, x: Tensor) -> Tensor:
        training = self.training
        try:
            return self.train(False)(x)
        finally:
            self.train(training)
""",
    ),
    Variant(
        "ps1_autoencoder",
        "a context manager of one's own",
        KEEPING_MODE
        + """\
class AutoEncoder(nn.Module):
    def __init__(self, latent_dim=64):
        super().__init__()
        self.halves = nn.ModuleDict({"in": Encoder(latent_dim), "out": Decoder(latent_dim)})

    def encode(self, x):
        return self.halves["in"](x)

    def decode(self, z):
        return self.halves["out"](z)

    def forward(self, x):
        return self.decode(self.encode(x))

    def reconstruct(self, x):
        with measuring(self):
            return self.forward(x)
""",
    ),
    Variant(
        "ps1_autoencoder",
        "halves in a Sequential",
        """\
class AutoEncoder(nn.Module):
    def __init__(self, latent_dim=64):
        super().__init__()
        self.both = nn.Sequential(Encoder(latent_dim), Decoder(latent_dim))

    def encode(self, x):
        return self.both[0](x)

    def decode(self, z):
        return self.both[1](z)

    def forward(self, x):
        return self.both(x)

    def reconstruct(self, x):
        before = self.training
        if before:
            self.eval()
        with torch.set_grad_enabled(False):
            pictures = self.both(x)
        if before:
            self.train()
        return pictures
""",
    ),
    # The error.
    Variant(
        "ps1_squared_error",
        "all dimensions but the first",
        """\
def squared_error(x_hat, x):
    return (x - x_hat).pow(2).sum(dim=tuple(range(1, x.ndim)))
""",
    ),
    Variant(
        "ps1_squared_error",
        "mse_loss without a reduction",
        """\
def squared_error(x_hat: Tensor, x: Tensor) -> Tensor:
    return F.mse_loss(x_hat, x, reduction="none").view(len(x), -1).sum(-1)
""",
    ),
    Variant(
        "ps1_squared_error",
        "image by image",
        """\
def squared_error(x_hat, x):
    return torch.stack([((a - b) ** 2).sum() for a, b in zip(x_hat, x)])
""",
    ),
    Variant(
        "ps1_squared_error",
        "einsum",
        """\
def squared_error(x_hat, x):
    return torch.einsum("b...,b...->b", x_hat - x, x_hat - x)
""",
    ),
    Variant(
        "ps1_squared_error",
        "a squared norm in float64",
        """\
def squared_error(x_hat, x):
    return (x.double() - x_hat.double()).flatten(1).norm(dim=1) ** 2
""",
    ),
    Variant(
        "ps1_squared_error",
        "the last dimension, again and again",
        """\
def squared_error(x_hat, x):
    error = torch.square(x_hat - x)
    while error.dim() > 1:
        error = error.sum(-1)
    return error
""",
    ),
    Variant(
        "ps1_squared_error",
        "rows times columns",
        """\
def squared_error(x_hat, x):
    rows = torch.sub(x_hat, x).reshape(x.size(0), 1, -1)
    return (rows @ rows.mT).view(-1)
""",
    ),
    Variant(
        "ps1_squared_error",
        "a copy changed in place",
        """\
def squared_error(x_hat, x):
    difference = x_hat.clone()
    difference -= x
    total = torch.zeros(x.shape[0], device=x.device)
    total += difference.flatten(start_dim=1).square().sum(dim=1)
    return total
""",
    ),
    # The loop.
    Variant(
        "ps1_train_epoch",
        "sums in tensors, cut off",
        """\
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
    Variant(
        "ps1_train_epoch",
        "a closure for the optimiser",
        """\
def train_epoch(model, loader, optimizer, loss_terms):
    model.train()
    where = next(model.parameters()).device
    collected = {}
    for images, _ in loader:

        def closure():
            optimizer.zero_grad()
            terms = loss_terms(model, images.to(where))
            loss = torch.mean(terms["loss"])
            loss.backward()
            for name, values in terms.items():
                collected.setdefault(name, []).extend(values.tolist())
            return loss

        optimizer.step(closure)
    return {name: sum(values) / len(values) for name, values in collected.items()}
""",
    ),
    Variant(
        "ps1_train_epoch",
        "batches' means, weighted",
        """\
from collections import defaultdict


def train_epoch(model, loader, optimizer, loss_terms):
    model.train(True)
    parameter = next(iter(model.parameters()))
    totals, count = defaultdict(float), 0
    for images, labels in loader:
        images = images.to(parameter)
        batch_size = images.size(0)
        optimizer.zero_grad(set_to_none=True)
        terms = loss_terms(model, images)
        loss = terms["loss"].mean()
        loss.backward()
        optimizer.step()
        for name in terms:
            totals[name] += batch_size * terms[name].mean().item()
        count += batch_size
    return {name: totals[name] / count for name in totals}
""",
    ),
    Variant(
        "ps1_train_epoch",
        "put together at the end",
        """\
def train_epoch(model, loader, optimizer, loss_terms):
    device = list(model.parameters())[0].device
    model.train()
    parts = []
    for number, (x, y) in enumerate(loader):
        x, y = x.to(device), y.to(device)
        terms = loss_terms(model, x)
        for group in optimizer.param_groups:
            for p in group["params"]:
                p.grad = None
        torch.mean(terms["loss"], dim=0).backward()
        optimizer.step()
        parts.append({name: values.detach().cpu() for name, values in terms.items()})
    return {name: torch.cat([part[name] for part in parts]).mean().item() for name in parts[0]}
""",
    ),
    Variant(
        "ps1_train_epoch",
        "gradients asked for by name",
        """\
def take_step(model, images, optimizer, loss_terms):
    weights = [p for p in model.parameters() if p.requires_grad]
    terms = loss_terms(model, images)
    gradients = torch.autograd.grad(terms["loss"].mean(), weights)
    for weight, gradient in zip(weights, gradients):
        weight.grad = gradient
    optimizer.step()
    return {name: values.sum().item() for name, values in terms.items()}


def train_epoch(model, loader, optimizer, loss_terms):
    model.train()
    device = next(model.parameters()).device
    totals, seen = {}, 0
    for images, _ in loader:
        sums = take_step(model, images.to(device), optimizer, loss_terms)
        totals = {name: totals.get(name, 0) + value for name, value in sums.items()}
        seen += images.shape[0]
    return {name: total / seen for name, total in totals.items()}
""",
    ),
    # Measuring.
    Variant(
        "ps1_evaluate",
        "inference mode, all terms together",
        """\
@torch.inference_mode()
def evaluate(model, loader, loss_terms):
    device, was = next(model.parameters()).device, model.training
    try:
        model.train(False)
        parts = [loss_terms(model, batch[0].to(device)) for batch in loader]
    finally:
        model.train(was)
    return {key: torch.cat([part[key] for part in parts]).mean().item() for key in parts[0]}
""",
    ),
    Variant(
        "ps1_evaluate",
        "a context manager of one's own",
        KEEPING_MODE
        + """\
def evaluate(model: nn.Module, loader, loss_terms):
    device = next(model.parameters()).device
    sums: dict[str, float] = {}
    with measuring(model):
        for images, _ in loader:
            for name, values in loss_terms(model, images.to(device)).items():
                sums[name] = sums.get(name, 0.0) + float(values.sum())
    count = sum(len(images) for images, _ in loader)
    return {name: value / count for name, value in sums.items()}
""",
    ),
    Variant(
        "ps1_evaluate",
        "a running mean",
        """\
def evaluate(model, loader, loss_terms):
    device = next(model.parameters()).device
    before = model.training
    model.eval()
    means, seen = {}, 0
    with torch.no_grad():
        for x, _ in loader:
            seen += len(x)
            for name, values in loss_terms(model, x.to(device)).items():
                old = means.get(name, 0.0)
                means[name] = old + (values.mean().item() - old) * len(x) / seen
    model.train(before)
    return means
""",
    ),
    Variant(
        "ps1_evaluate",
        "means by NumPy",
        """\
@torch.no_grad()
def evaluate(model, loader, loss_terms):
    training = model.training
    model.eval()
    found = {}
    for images, labels in loader:
        images = images.to(next(model.parameters()).device)
        for name, values in loss_terms(model, images).items():
            found.setdefault(name, []).append(values.cpu().numpy())
    if training:
        model.train()
    return {name: float(np.concatenate(arrays).mean()) for name, arrays in found.items()}
""",
    ),
    Variant(
        "ps1_evaluate",
        "gradients off for a block",
        swapped(
            EVALUATE,
            ("@torch.no_grad()\n", ""),
            (
                "        terms = loss_terms(model, images.to(device))\n",
                "        with torch.set_grad_enabled(False):\n"
                "            terms = loss_terms(model, images.to(device))\n",
            ),
        ),
    ),
    # Somebody else's measurement.
    Variant(
        "ps1_fault",
        "mended where it stood",
        """\
@torch.no_grad()
def error_by_label(model: nn.Module, loader: Iterable[tuple[Tensor, Tensor]]) -> dict[int, float]:
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    totals, counts = {}, {}
    for images, labels in loader:
        images = images.to(device)
        errors = squared_error(model(images), images)
        for label in labels.unique().tolist():
            chosen = (labels == label).to(device)
            totals[label] = totals.get(label, 0.0) + errors[chosen].sum().item()
            counts[label] = counts.get(label, 0) + int(chosen.sum())
    model.train(was_training)
    return {label: totals[label] / counts[label] for label in sorted(totals)}
""",
    ),
    Variant(
        "ps1_fault",
        "the error worked out anew",
        """\
def error_by_label(model, loader):
    device = next(model.parameters()).device
    training = model.training
    model.eval()
    sums, counts = {}, {}
    with torch.no_grad():
        for images, labels in loader:
            images = images.to(device)
            errors = ((model(images) - images) ** 2).flatten(1).sum(1).cpu()
            for label in labels.unique().tolist():
                chosen = labels == label
                sums[label] = sums.get(label, 0.0) + errors[chosen].sum().item()
                counts[label] = counts.get(label, 0) + chosen.sum().item()
    model.train(training)
    return {label: sums[label] / counts[label] for label in sorted(sums)}
""",
    ),
    Variant(
        "ps1_fault",
        "all errors together",
        """\
@torch.inference_mode()
def error_by_label(model, loader):
    was, device = model.training, next(model.parameters()).device
    model.eval()
    pairs = [(squared_error(model(x.to(device)), x.to(device)).cpu(), y) for x, y in loader]
    model.train(was)
    errors, labels = (torch.cat(parts) for parts in zip(*pairs))
    return {int(k): float(errors[labels == k].mean()) for k in labels.unique()}
""",
    ),
    Variant(
        "ps1_fault",
        "evaluate, label by label",
        """\
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
    Variant(
        "ps1_fault",
        "counted by bincount",
        """\
def error_by_label(model, loader):
    device, mode = next(model.parameters()).device, model.training
    errors, labels = [], []
    model.eval()
    with torch.no_grad():
        for images, kinds in loader:
            images = images.to(device)
            errors += squared_error(model(images), images).tolist()
            labels += kinds.tolist()
    model.train(mode)
    labels = torch.tensor(labels)
    counts = labels.bincount()
    sums = labels.bincount(weights=torch.tensor(errors, dtype=torch.float64))
    return {k: (sums[k] / counts[k]).item() for k in range(len(counts)) if counts[k] > 0}
""",
    ),
    # Principal components.
    Variant(
        "ps1_pca",
        "eigenvectors of the covariance",
        """\
def pca_reconstruct(train, x, num_components):
    centre = train.mean(0, keepdim=True)
    covariance = (train - centre).T @ (train - centre) / (len(train) - 1)
    values, vectors = torch.linalg.eigh(covariance)
    top = vectors[:, values.argsort(descending=True)[:num_components]]
    return centre + ((x - centre) @ top) @ top.T
""",
    ),
    Variant(
        "ps1_pca",
        "scikit-learn",
        """\
def pca_reconstruct(train, x, num_components):
    from sklearn.decomposition import PCA

    pca = PCA(num_components).fit(train.numpy())
    return torch.from_numpy(pca.inverse_transform(pca.transform(x.numpy())))
""",
    ),
    Variant(
        "ps1_pca",
        "a sketch so wide that it is exact",
        """\
def pca_reconstruct(train, x, num_components):
    mean = train.mean(0)
    _, _, V = torch.pca_lowrank(train, q=min(train.shape), niter=4)
    V = V[:, :num_components]
    return (x - mean) @ V @ V.T + mean
""",
    ),
    Variant(
        "ps1_pca",
        "left vectors in float64",
        """\
def pca_reconstruct(train, x, num_components):
    train, x = train.double(), x.double()
    mean = train.mean(0)
    v = torch.linalg.svd((train - mean).T)[0][:, :num_components]
    return mean + (x - mean) @ (v @ v.T)
""",
    ),
    Variant(
        "ps1_pca",
        "direction by direction",
        """\
def pca_reconstruct(train: Tensor, x: Tensor, num_components: int) -> Tensor:
    mean = torch.mean(train, dim=0)
    rows = torch.svd(train - mean).V.T
    rebuilt = mean.expand_as(x).clone()
    for direction in rows[:num_components]:
        coordinate = torch.einsum("nd,d->n", x - mean, direction)
        rebuilt += torch.outer(coordinate, direction)
    return rebuilt
""",
    ),
    # Sampling.
    Variant(
        "ps1_sample_prior",
        "filled in place, and detached",
        """\
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
    Variant(
        "ps1_sample_prior",
        "torch.normal, and a context manager",
        KEEPING_MODE
        + """\
def sample_prior(decoder, num_samples, latent_dim, generator=None):
    zeros = torch.zeros(num_samples, latent_dim, device=next(decoder.parameters()).device)
    with measuring(decoder):
        return decoder(torch.normal(zeros, 1.0, generator=generator))
""",
    ),
    Variant(
        "ps1_sample_prior",
        "code by code",
        """\
@torch.no_grad()
def sample_prior(decoder: nn.Module, num_samples: int, latent_dim: int, generator=None) -> Tensor:
    settings = {"generator": generator, "device": next(decoder.parameters()).device}
    codes = [torch.randn(latent_dim, **settings) for _ in range(num_samples)]
    was = decoder.training
    images = decoder.eval()(torch.stack(codes))
    decoder.train(was)
    return images
""",
    ),
    Variant(
        "ps1_sample_prior",
        "decoded in parts",
        """\
def sample_prior(decoder, num_samples, latent_dim, generator=None):
    parameter = next(decoder.parameters())
    numbers = torch.randn(num_samples * latent_dim, generator=generator, device=parameter.device)
    training, pictures = decoder.training, []
    decoder.train(mode=False)
    with torch.no_grad():
        for part in numbers.view(num_samples, latent_dim).split(2):
            pictures.append(decoder(part))
    decoder.train(mode=training)
    return torch.cat(pictures)
""",
    ),
    Variant(
        "ps1_sample_prior",
        "drawn where the generator is",
        swapped(
            SAMPLE,
            (
                "    device = next(decoder.parameters()).device\n",
                "    device = next(decoder.parameters()).device\n"
                "    source = device if generator is None else generator.device\n",
            ),
            ("generator=generator, device=device)", "generator=generator, device=source)"),
            ("    with torch", "    z = z.to(device)\n    with torch"),
        ),
    ),
)
