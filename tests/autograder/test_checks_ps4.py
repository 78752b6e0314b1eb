"""The checks of ps4: the reference and other right answers score in full, wrong ones lose points.

Each wrong answer is one that students are known to write, or a fault of the published notebook. It
names words of the message it gets, and how many of the exercise's criteria it fails: all others
must stay whole.
"""

import ast
import inspect
import re
from types import ModuleType, SimpleNamespace

import pytest
from known import assert_named, mistakes

from autograder.judge import judge
from autograder.misconceptions import swapped as swap
from vae_course import keras_fit, keras_layers, keras_model, keras_vae
from vae_course.authoring.assignment import load_assignment

EXERCISES = {
    "padding": 3,
    "encoder": 4,
    "sampling": 2,
    "decoder": 4,
    "seed_loss": 2,
    "loss": 3,
    "tracker": 2,
    "fit": 4,
    "model": 4,
    "early_stopping": 2,
    "manifold": 2,
}
SOLUTIONS = {
    "padding": ("same_padding", "SameConv2d", "SameConvTranspose2d"),
    "encoder": ("FashionEncoder",),
    "sampling": ("Sampling",),
    "decoder": ("FashionDecoder",),
    "seed_loss": ("seed_loss", "hidden_beta"),
    "loss": ("cross_entropy_terms",),
    "tracker": ("Mean",),
    "fit": ("fit_model",),
    "model": ("KerasVAE",),
    "early_stopping": ("EarlyStopping",),
    "manifold": ("quantile_codes", "manifold_codes"),
}
SLOW = {"encoder", "decoder", "model"}
"""Their checks take about a second."""
MODULES = (keras_layers, keras_fit, keras_model, keras_vae)
GIVEN = re.sub(r"^from vae_course.*\n", "", "\n".join(map(inspect.getsource, MODULES)), flags=re.M)
"""The reference's modules are one cell: they import only each other of the course."""


def home_of(solution: str) -> ModuleType:
    """The module of the reference in which a solution stands."""
    return next(module for module in MODULES if hasattr(module, solution))


@pytest.fixture(scope="session")
def judged(student_of):
    def run(exercise: str, *cells: str, seed: int = 0, solutions=()):
        what = SimpleNamespace(id=f"ps4_{exercise}", points=EXERCISES[exercise])
        what.solutions = solutions
        return judge(what, student_of(GIVEN, *cells), seed)

    return run


PAD = """
def same_padding(size, kernel, stride):
    out = (size + stride - 1) // stride
    total = max(0, (out - 1) * stride + kernel - size)
    before = total // 2
    return before, total - before
"""
CONV = """
class SameConv2d(nn.Conv2d):
    def __init__(self, in_channels, out_channels, kernel_size, stride=1):
        super().__init__(in_channels, out_channels, kernel_size, stride)

    def forward(self, x):
        k, s = self.kernel_size[0], self.stride[0]
        t, b = same_padding(x.shape[2], k, s)
        l, r = same_padding(x.shape[3], k, s)
        return F.conv2d(F.pad(x, [l, r, t, b]), self.weight, self.bias, s)
"""
DECONV = """
class SameConvTranspose2d(nn.ConvTranspose2d):
    def __init__(self, in_channels, out_channels, kernel_size, stride=1):
        super().__init__(in_channels, out_channels, kernel_size, stride)

    def forward(self, x):
        k, s = self.kernel_size[0], self.stride[0]
        height, width = s * x.shape[2], s * x.shape[3]
        t, l = same_padding(height, k, s)[0], same_padding(width, k, s)[0]
        full = F.conv_transpose2d(x, self.weight, self.bias, s)
        return full[:, :, t:t + height, l:l + width]
"""
ENCODER = """
class FashionEncoder(nn.Module):
    def __init__(self, latent_dim=2, image_shape=(1, 28, 28)):
        super().__init__()
        c, h, w = image_shape
        self.convs = nn.Sequential(
            SameConv2d(c, 32, 3), nn.ReLU(),
            SameConv2d(32, 64, 3, 2), nn.ReLU(),
            SameConv2d(64, 64, 3), nn.ReLU(),
            SameConv2d(64, 64, 3), nn.ReLU(),
        )
        self.fc = nn.Linear(64 * (h // 2) * (w // 2), 32)
        self.to_mu = nn.Linear(32, latent_dim)
        self.to_log_var = nn.Linear(32, latent_dim)
        glorot_uniform(self)

    def forward(self, x):
        h = self.convs(x)
        h = torch.relu(self.fc(h.flatten(1)))
        return self.to_mu(h), self.to_log_var(h)
"""
DECODER = """
class FashionDecoder(nn.Module):
    def __init__(self, latent_dim=2, image_shape=(1, 28, 28)):
        super().__init__()
        c, h, w = image_shape
        self.maps = (64, h // 2, w // 2)
        self.fc = nn.Linear(latent_dim, 64 * (h // 2) * (w // 2))
        self.up1 = SameConvTranspose2d(64, 32, 3, 2)
        self.up2 = SameConvTranspose2d(32, c, 3, 1)
        glorot_uniform(self)

    def forward(self, z):
        h = F.relu(self.fc(z)).view(-1, *self.maps)
        h = F.relu(self.up1(h))
        return torch.sigmoid(self.up2(h))
"""
SAMPLING = """
class Sampling(nn.Module):
    def forward(self, mu, log_var, generator=None):
        eps = torch.randn(mu.shape, generator=generator, device=mu.device)
        std = torch.exp(0.5 * log_var)
        return mu + std * eps
"""
LOSS = """
def cross_entropy_terms(x, x_hat, mu, log_var, beta=1.0):
    bce = F.binary_cross_entropy(x_hat, x, reduction="none")
    nll = bce.flatten(1).sum(1)
    kl = -0.5 * (1 + log_var - mu ** 2 - log_var.exp()).sum(1)
    return {"loss": nll + beta * kl, "nll": nll, "kl": kl}
"""
SEED = """
def seed_loss(x, x_hat, mu, log_var):
    cross = F.binary_cross_entropy(x_hat.flatten(), x.flatten())
    kl = -5e-4 * torch.mean(1 + log_var - mu ** 2 - log_var.exp(), -1)
    return torch.mean(cross + kl)


def hidden_beta(latent_dim, num_pixels=784, kl_weight=5e-4):
    return num_pixels * kl_weight * 2 / latent_dim
"""
MEAN = """
class Mean:
    def __init__(self, name):
        self.name = name
        self.reset_state()

    def reset_state(self):
        self.total, self.count = 0.0, 0

    def update_state(self, values):
        self.total += float(values.detach().sum())
        self.count += len(values)

    def result(self):
        if self.count == 0:
            return float("nan")
        return self.total / self.count
"""
FIT = """
def fit_model(model, x, epochs=1, batch_size=32, validation_split=0.0, callbacks=(), seed=0,
              verbose=True):
    n = int(len(x) * (1 - validation_split))
    train, held_out = x[:n], x[n:]
    g = torch.Generator().manual_seed(seed)
    history = History()
    model.stop_training = False
    for c in callbacks:
        c.set_model(model)
        c.on_train_begin()
    for epoch in range(epochs):
        model.train()
        model.reset_metrics()
        order = torch.randperm(n, generator=g)
        for start in range(0, n, batch_size):
            batch = train[order[start:start + batch_size]]
            model.train_step(batch.to(model.device))
        logs = dict(model.get_metrics_result())
        if len(held_out) > 0:
            for name, value in model.evaluate(held_out).items():
                logs["val_" + name] = value
        history.record(epoch, logs)
        for c in callbacks:
            c.on_epoch_end(epoch, logs)
        if model.stop_training:
            break
    for c in callbacks:
        c.on_train_end()
    return history
"""
MODEL = """
class KerasVAE(KerasModel):
    def __init__(self, latent_dim=2, beta=0.392, image_shape=(1, 28, 28)):
        super().__init__()
        self.latent_dim, self.beta, self.image_shape = latent_dim, beta, image_shape
        self.encoder = FashionEncoder(latent_dim, image_shape)
        self.decoder = FashionDecoder(latent_dim, image_shape)
        self.draw = Sampling()
        self.a, self.b, self.c = Mean("loss"), Mean("nll"), Mean("kl")

    def forward(self, x, generator=None):
        mu, log_var = self.encoder(x)
        return self.decoder(self.draw(mu, log_var, generator)), mu, log_var

    def track(self, terms):
        self.a.update_state(terms["loss"])
        self.b.update_state(terms["nll"])
        self.c.update_state(terms["kl"])

    def train_step(self, batch):
        terms = keras_terms(self, batch)
        loss = terms["loss"].mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.track(terms)

    def test_step(self, batch):
        self.track(keras_terms(self, batch))

    def predict_step(self, batch):
        return self.decoder(self.encoder(batch)[0])
"""
STOP = """
class EarlyStopping(Callback):
    def __init__(self, monitor="val_loss", patience=0):
        super().__init__()
        self.monitor, self.patience = monitor, patience

    def on_train_begin(self):
        self.best, self.wait, self.kept = float("inf"), 0, None

    def on_epoch_end(self, epoch, logs):
        if logs[self.monitor] < self.best:
            self.best, self.wait = logs[self.monitor], 0
            self.kept = copy.deepcopy(self.model.state_dict())
        else:
            self.wait += 1
            if self.wait >= self.patience:
                self.model.stop_training = True

    def on_train_end(self):
        if self.kept is not None:
            self.model.load_state_dict(self.kept)
"""
STOP = "import copy\n" + STOP
QUANTILES = """
def quantile_codes(num, tail=0.01):
    return torch.distributions.Normal(0.0, 1.0).icdf(torch.linspace(tail, 1 - tail, num))
"""
CODES = """
def manifold_codes(values):
    return torch.stack([torch.stack([x, y]) for y in values.flip(0) for x in values])
"""

RIGHT = [
    ("padding", PAD),
    ("padding", CONV),
    ("padding", DECONV),
    (
        "padding",
        """
        def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
            rest = size % stride
            total = max(kernel - stride, 0) if rest == 0 else max(kernel - rest, 0)
            return [total // 2, (total + 1) // 2]
        """,
    ),
    (
        "padding",
        """
        class SameConv2d(nn.Module):
            def __init__(self, in_channels, out_channels, kernel_size, stride=1):
                super().__init__()
                self.bias = nn.Parameter(torch.zeros(out_channels))
                self.kernel = nn.Parameter(
                    torch.randn(out_channels, in_channels, kernel_size, kernel_size)
                )
                self.stride = stride

            def forward(self, x):
                size = self.kernel.shape[-1]
                (t, b), (l, r) = (same_padding(n, size, self.stride) for n in x.shape[-2:])
                x = nn.ZeroPad2d((l, r, t, b))(x)
                return F.conv2d(x, self.kernel, self.bias, stride=self.stride)
        """,
    ),
    (
        "padding",
        """
        class SameConvTranspose2d(nn.ConvTranspose2d):
            def __init__(self, in_channels, out_channels, kernel_size, stride=1):
                super().__init__(in_channels, out_channels, kernel_size, stride)

            def forward(self, x):
                full = super().forward(x)
                (s, _), (k, _) = self.stride, self.kernel_size
                (t, b), (l, r) = (same_padding(n * s, k, s) for n in x.shape[-2:])
                return full[..., t:full.shape[-2] - b, l:full.shape[-1] - r]
        """,
    ),
    ("encoder", ENCODER),
    ("decoder", DECODER),
    (
        "encoder",  # both heads in one, channels last before flattening, layers in another order
        """
        class FashionEncoder(nn.Module):
            def __init__(self, latent_dim=2, image_shape=(1, 28, 28)):
                super().__init__()
                channels, height, width = image_shape
                self.heads = nn.Linear(32, 2 * latent_dim)
                self.dense = nn.Linear(64 * (height // 2) * (width // 2), 32)
                self.last = nn.ModuleList(SameConv2d(64, 64, 3) for _ in range(2))
                self.second = SameConv2d(32, 64, 3, stride=2)
                self.first = nn.Conv2d(channels, 32, 3, padding=1)
                glorot_uniform(self)

            def forward(self, x):
                x = self.second(self.first(x).relu()).relu()
                for conv in self.last:
                    x = conv(x).relu()
                x = x.permute(0, 2, 3, 1).reshape(len(x), -1)
                return self.heads(self.dense(x).relu()).chunk(2, dim=-1)
        """,
    ),
    (
        "encoder",  # the padding as a layer of its own
        swap(
            ENCODER,
            (
                "SameConv2d(32, 64, 3, 2)",
                "nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(32, 64, 3, stride=2)",
            ),
        ),
    ),
    (
        "decoder",  # Keras's order of places, and PyTorch's own layers
        """
        class FashionDecoder(nn.Module):
            def __init__(self, latent_dim: int = 2, image_shape: tuple = (1, 28, 28)) -> None:
                super().__init__()
                self.image_shape = image_shape
                c, h, w = image_shape
                self.two = nn.ConvTranspose2d(32, c, kernel_size=3, padding=1)
                self.one = nn.ConvTranspose2d(64, 32, kernel_size=3, stride=2)
                self.linear = nn.Linear(latent_dim, h // 2 * (w // 2) * 64)
                for p in self.parameters():
                    nn.init.xavier_uniform_(p) if p.ndim > 1 else nn.init.zeros_(p)

            def forward(self, z: Tensor) -> Tensor:
                _, h, w = self.image_shape
                maps = self.linear(z).relu().reshape(len(z), h // 2, w // 2, 64)
                maps = self.one(maps.permute(0, 3, 1, 2))[:, :, :h, :w].relu()
                return self.two(maps).sigmoid()
        """,
    ),
    ("sampling", SAMPLING),
    (
        "sampling",
        """
        class Sampling(nn.Module):
            def __init__(self):
                super().__init__()

            def forward(self, mu, log_var, generator=None):
                noise = torch.empty_like(mu).normal_(generator=generator)
                return torch.addcmul(mu, log_var.exp().sqrt(), noise)
        """,
    ),
    ("loss", LOSS),
    (
        "loss",
        """
        def cross_entropy_terms(x, x_hat, mu, log_var, beta=1.0):
            nll = -torch.distributions.Bernoulli(probs=x_hat, validate_args=False).log_prob(x)
            q = torch.distributions.Normal(mu, (log_var / 2).exp())
            p = torch.distributions.Normal(0.0, 1.0)
            terms = {"nll": nll.sum(dim=tuple(range(1, x.ndim)))}
            terms["kl"] = torch.distributions.kl_divergence(q, p).sum(-1)
            terms["loss"] = torch.add(terms["nll"], terms["kl"], alpha=beta)
            return terms
        """,
    ),
    (
        "loss",
        """
        def cross_entropy_terms(x, x_hat, mu, log_var, beta=1.0):
            eps = 1e-7
            x_hat = x_hat.clamp(eps, 1 - eps)
            pixels = -(x * x_hat.log() + (1 - x) * torch.log1p(-x_hat))
            nll = pixels.reshape(len(x), -1).sum(-1)
            kl = gaussian_kl(mu, log_var)
            return dict(loss=nll + kl * beta, nll=nll, kl=kl)
        """,
    ),
    ("seed_loss", SEED),
    (
        "seed_loss",
        """
        def seed_loss(x, x_hat, mu, log_var):
            pixels = -(x * x_hat.log() + (1 - x) * (1 - x_hat).log())
            return pixels.mean() + 5e-4 * (mu ** 2 + log_var.exp() - 1 - log_var).mean()


        def hidden_beta(latent_dim, num_pixels=784, kl_weight=5e-4):
            weight_of_one_dimension = kl_weight / latent_dim
            return num_pixels * weight_of_one_dimension / 0.5
        """,
    ),
    ("tracker", MEAN),
    (
        "tracker",
        """
        class Mean:
            def __init__(self, name):
                self.name = name
                self.values = []

            def reset_state(self):
                self.values = []

            def update_state(self, values):
                self.values += values.detach().tolist()

            def result(self):
                return float(np.mean(self.values)) if self.values else math.nan
        """,
    ),
    ("fit", FIT),
    (
        "fit",
        """
        def fit_model(model, x, epochs=1, batch_size=32, validation_split=0.0, callbacks=(),
                      seed=0, verbose=True):
            model.stop_training = False
            cut = math.floor(len(x) * (1 - validation_split))
            loader = torch.utils.data.DataLoader(
                x[:cut], batch_size=batch_size, shuffle=True,
                generator=torch.Generator().manual_seed(seed),
            )
            [c.set_model(model) for c in callbacks]
            [c.on_train_begin() for c in callbacks]
            log = History()
            epoch = 0
            while epoch < epochs and not model.stop_training:
                model.train(True)
                model.reset_metrics()
                for batch in loader:
                    model.train_step(batch.to(next(model.parameters()).device))
                logs = {**model.get_metrics_result()}
                if cut < len(x):
                    logs.update({f"val_{k}": v for k, v in model.evaluate(x[cut:]).items()})
                log.record(epoch, logs)
                [c.on_epoch_end(epoch, logs) for c in callbacks]
                epoch += 1
            [c.on_train_end() for c in callbacks]
            return log
        """,
    ),
    ("model", MODEL),
    (
        "model",
        """
        class KerasVAE(KerasModel):
            def __init__(self, latent_dim=2, beta=0.392, image_shape=(1, 28, 28)):
                super().__init__()
                self.decoder = FashionDecoder(latent_dim, image_shape)
                self.encoder = FashionEncoder(latent_dim, image_shape)
                self.latent_dim = latent_dim
                self.beta = beta
                self.image_shape = image_shape
                self.kl = Mean("kl")
                self.nll = Mean("nll")
                self.loss = Mean("loss")

            def forward(self, x, generator=None):
                q = self.encoder(x)
                return self.decoder(Sampling()(*q, generator=generator)), *q

            def train_step(self, batch):
                self.zero_grad()
                self.step_on(batch).mean().backward()
                self.optimizer.step()

            def step_on(self, batch):
                terms = keras_terms(self, batch)
                for metric in self.metrics:
                    metric.update_state(terms[metric.name])
                return terms["loss"]

            def test_step(self, batch):
                with torch.no_grad():
                    self.step_on(batch)

            @torch.no_grad()
            def predict_step(self, batch):
                return self.decoder(self.encoder(batch)[0])
        """,
    ),
    ("early_stopping", STOP),
    (
        "early_stopping",
        """
        class EarlyStopping(Callback):
            def __init__(self, monitor="val_loss", patience=0):
                super().__init__()
                self.monitor = monitor
                self.patience = patience

            def on_train_begin(self):
                self.losses, self.weights, self.best_epoch = [], [], -1

            def on_epoch_end(self, epoch, logs):
                self.losses.append(logs[self.monitor])
                if not self.losses[-1] >= min(self.losses[:-1], default=math.inf):
                    if self.losses[-1] == self.losses[-1]:
                        self.best_epoch = epoch
                        self.weights = [p.detach().clone() for p in self.model.parameters()]
                if epoch - self.best_epoch >= max(self.patience, 1):
                    self.model.stop_training = True

            @torch.no_grad()
            def on_train_end(self):
                for parameter, best in zip(self.model.parameters(), self.weights, strict=False):
                    parameter.copy_(best)
        """,
    ),
    ("manifold", QUANTILES),
    ("manifold", CODES),
    (
        "manifold",
        """
        from scipy.stats import norm

        def quantile_codes(num, tail=0.01):
            return torch.tensor(norm.ppf(np.linspace(tail, 1 - tail, num)), dtype=torch.float32)


        def manifold_codes(values):
            n = len(values)
            return torch.stack([values.repeat(n), values.flip(0).repeat_interleave(n)], dim=-1)
        """,
    ),
]

WRONG = [
    # padding
    (
        "padding",
        "always even",
        swap(PAD, ("return before, total - before", "return kernel // 2, kernel // 2")),
        "more than are needed",
        4,
    ),
    ("padding", "stride forgotten", swap(PAD, ("(out - 1) * stride", "(size - 1)")), "more", 4),
    (
        "padding",
        "negative",
        swap(
            PAD,
            ("max(0, (out - 1) * stride + kernel - size)", "(out - 1) * stride + kernel - size"),
        ),
        "negative",
        1,
    ),
    (
        "padding",
        "rounded down",
        swap(PAD, ("(size + stride - 1) // stride", "size // stride")),
        "fewer",
        3,
    ),
    (
        "padding",
        "one number",
        swap(PAD, ("return before, total - before", "return total")),
        "where two numbers",
        4,
    ),
    ("padding", "left and above", swap(CONV, ("[l, r, t, b]", "[r, l, b, t]")), "wrong sides", 1),
    ("padding", "only a side", swap(CONV, ("[l, r, t, b]", "[l, r]")), "shape", 1),
    (
        "padding",
        "cropped at the wrong end",
        swap(
            DECONV,
            (
                "same_padding(height, k, s)[0], same_padding(width, k, s)[0]",
                "same_padding(height, k, s)[1], same_padding(width, k, s)[1]",
            ),
        ),
        "wrong end",
        1,
    ),
    (
        "padding",
        "cropped not at all",
        swap(DECONV, ("[:, :, t:t + height, l:l + width]", "")),
        "shape",
        1,
    ),
    (
        "padding",
        "resized",
        swap(
            DECONV,
            ("full[:, :, t:t + height, l:l + width]", "F.interpolate(full, size=(height, width))"),
        ),
        "enlarged, and not cut",
        1,
    ),
    # encoder
    (
        "encoder",
        "one ReLU missing",
        swap(
            ENCODER,
            ("SameConv2d(64, 64, 3), nn.ReLU(),\n        )", "SameConv2d(64, 64, 3),\n        )"),
        ),
        "after the fourth convolution",
        1,
    ),
    (
        "encoder",
        "softplus on log_var",
        swap(ENCODER, ("self.to_log_var(h)\n", "F.softplus(self.to_log_var(h))\n")),
        "`log_var` is never negative",
        3,
    ),
    (
        "encoder",
        "tanh on mu",
        swap(ENCODER, ("self.to_mu(h), ", "torch.tanh(self.to_mu(h)), ")),
        "`mu` does not grow",
        2,
    ),
    (
        "encoder",
        "no ReLU at any convolution",
        swap(ENCODER, (", nn.ReLU(),", ",")),
        "without the ReLUs after its convolutions",
        1,
    ),
    (
        "encoder",
        "no ReLU at all",
        swap(
            ENCODER,
            (", nn.ReLU(),", ","),
            ("torch.relu(self.fc(h.flatten(1)))", "self.fc(h.flatten(1))"),
        ),
        "without any ReLU",
        1,
    ),
    (
        "encoder",
        "stride in the third",
        swap(
            ENCODER,
            ("SameConv2d(32, 64, 3, 2)", "SameConv2d(32, 64, 3)"),
            (
                "            SameConv2d(64, 64, 3), nn.ReLU(),\n"
                "            SameConv2d(64, 64, 3), nn.ReLU(),\n",
                "            SameConv2d(64, 64, 3, 2), nn.ReLU(),\n"
                "            SameConv2d(64, 64, 3), nn.ReLU(),\n",
            ),
        ),
        "third convolution has the stride",
        1,
    ),
    (
        "encoder",
        "PyTorch's padding in all",
        swap(
            ENCODER,
            ("SameConv2d(32, 64, 3, 2)", "nn.Conv2d(32, 64, 3, 2, padding=1)"),
            ("SameConv2d(c, 32, 3)", "nn.Conv2d(c, 32, 3, padding=1)"),
            ("SameConv2d(64, 64, 3)", "nn.Conv2d(64, 64, 3, padding=1)"),
        ),
        "pads evenly",
        1,
    ),
    (
        "encoder",
        "only biases as in Keras",
        swap(
            ENCODER,
            (
                "glorot_uniform(self)",
                "[nn.init.zeros_(p) for p in self.parameters() if p.ndim == 1]",
            ),
        ),
        "Glorot's bound",
        1,
    ),
    (
        "encoder",
        "leaky",
        swap(
            ENCODER,
            ("nn.ReLU()", "nn.LeakyReLU(0.2)"),
            ("torch.relu(self.fc(", "F.leaky_relu(self.fc("),
            ("h.flatten(1)))", "h.flatten(1)), 0.2)"),
        ),
        "leaky ReLUs",
        1,
    ),
    (
        "encoder",
        "stride in the wrong layer",
        swap(
            ENCODER,
            ("SameConv2d(c, 32, 3),", "SameConv2d(c, 32, 3, 2),"),
            ("SameConv2d(32, 64, 3, 2)", "SameConv2d(32, 64, 3)"),
        ),
        "first convolution has the stride",
        1,
    ),
    (
        "encoder",
        "a layer short",
        swap(
            ENCODER,
            (
                "            SameConv2d(64, 64, 3), nn.ReLU(),\n"
                "            SameConv2d(64, 64, 3), nn.ReLU(),\n",
                "            SameConv2d(64, 64, 3), nn.ReLU(),\n",
            ),
        ),
        "fewer than the table",
        2,
    ),
    (
        "encoder",
        "pooling",
        swap(
            ENCODER,
            (
                "SameConv2d(32, 64, 3, 2), nn.ReLU(),",
                "SameConv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2),",
            ),
        ),
        "other numbers than the layers",
        1,
    ),
    (
        "encoder",
        "flattened batch",
        swap(
            ENCODER,
            ("h.flatten(1)", "h.view(-1, self.fc.in_features)"),
            ("h = self.convs(x)", "h = self.convs(x).transpose(0, 1).reshape(x.shape[0], -1)"),
        ),
        "changes with the other images",
        2,
    ),
    (
        "encoder",
        "mu only",
        swap(ENCODER, ("return self.to_mu(h), self.to_log_var(h)", "return self.to_mu(h)")),
        "a tensor of shape",
        4,
    ),
    (
        "encoder",
        "plain list",
        swap(
            ENCODER,
            ("self.to_log_var =", "self.heads = [None]; self.heads[0] ="),
            ("self.to_log_var(h)", "self.heads[0](h)"),
        ),
        "fewer",
        3,
    ),
    (
        "encoder",
        "batch norm",
        swap(ENCODER, ("SameConv2d(c, 32, 3),", "SameConv2d(c, 32, 3), nn.BatchNorm2d(32),")),
        "more than the table",
        2,
    ),
    # sampling
    (
        "sampling",
        "standard noise",
        swap(SAMPLING, ("mu + std * eps", "mu + eps")),
        "scatters equally",
        2,
    ),
    (
        "sampling",
        "one number a row",
        swap(SAMPLING, ("torch.randn(mu.shape,", "torch.randn(mu.shape[0], 1,")),
        "every dimension",
        1,
    ),
    ("sampling", "uniform", swap(SAMPLING, ("torch.randn(", "torch.rand(")), "On average", 2),
    (
        "sampling",
        "nothing drawn",
        swap(SAMPLING, ("mu + std * eps", "mu + 0 * std")),
        "no randomness",
        3,
    ),
    (
        "sampling",
        "draws only while it is trained",
        swap(SAMPLING, ("mu + std * eps", "mu + std * eps if self.training else mu")),
        "In evaluation mode",
        1,
    ),
    (
        "sampling",
        "detached",
        """
class Sampling(nn.Module):
    def forward(self, mu, log_var, generator=None):
        torch.manual_seed(torch.randint(9**9, (), generator=generator).item())
        return torch.distributions.Normal(mu, (log_var / 2).exp()).sample()
""",
        "No gradient reaches",
        1,
    ),
    # decoder
    (
        "decoder",
        "ReLU before the sigmoid",
        swap(DECODER, ("torch.sigmoid(self.up2(h))", "torch.sigmoid(F.relu(self.up2(h)))")),
        "pixels stay between 0.5",
        2,
    ),
    (
        "decoder",
        "no ReLU after the dense layer",
        swap(DECODER, ("F.relu(self.fc(z))", "self.fc(z)")),
        "after the linear layer",
        1,
    ),
    (
        "decoder",
        "no ReLU between",
        swap(DECODER, ("F.relu(self.up1(h))", "self.up1(h)")),
        "after the first transposed",
        1,
    ),
    (
        "decoder",
        "no ReLU at all",
        swap(DECODER, ("F.relu(self.up1(h))", "self.up1(h)"), ("F.relu(self.fc(z))", "self.fc(z)")),
        "without any ReLU",
        1,
    ),
    (
        "decoder",
        "stride in the last layer",
        swap(DECODER, ("64, 32, 3, 2", "64, 32, 3, 1"), ("32, c, 3, 1", "32, c, 3, 2")),
        "second transposed convolution",
        1,
    ),
    (
        "decoder",
        "PyTorch's initial weights",
        swap(DECODER, ("        glorot_uniform(self)\n", "")),
        "one half",
        1,
    ),
    (
        "decoder",
        "a batch of fixed size",
        swap(DECODER, ("view(-1, *self.maps)", "view(3, *self.maps)")),
        "",
        3,
    ),
    (
        "decoder",
        "an encoder's convolution",
        swap(
            DECODER,
            ("self.up2 = SameConvTranspose2d(32, c, 3, 1)", "self.up2 = SameConv2d(32, c, 3, 1)"),
        ),
        "weights are not those",
        1,
    ),
    # the published loss
    (
        "seed_loss",
        "an honest KL",
        swap(SEED, ("-5e-4 * torch.mean(1", "-5e-4 * 0.5 * torch.sum(1")),
        "that is the KL",
        1,
    ),
    (
        "seed_loss",
        "x and x_hat swapped",
        swap(SEED, ("x_hat.flatten(), x.flatten()", "x.flatten(), x_hat.flatten()")),
        "are swapped",
        1,
    ),
    (
        "seed_loss",
        "the weight ignored",
        swap(SEED, ("num_pixels * kl_weight", "num_pixels * 5e-4")),
        "a weight of",
        1,
    ),
    ("seed_loss", "the sign", swap(SEED, ("-5e-4 *", "5e-4 *")), "wrong sign", 1),
    ("seed_loss", "no weight", swap(SEED, ("-5e-4 *", "-1 *")), "without its weight", 1),
    (
        "seed_loss",
        "per image",
        swap(SEED, ("return torch.mean(cross + kl)", "return cross + kl")),
        "a single number",
        1,
    ),
    (
        "seed_loss",
        "784 forgotten",
        swap(SEED, ("num_pixels * kl_weight * 2 / latent_dim", "kl_weight * 2 / latent_dim")),
        "times smaller",
        2,
    ),
    (
        "seed_loss",
        "not divided by latents",
        swap(SEED, ("* 2 / latent_dim", "* 2")),
        "a mean over them",
        2,
    ),
    (
        "seed_loss",
        "784 fixed",
        swap(SEED, ("num_pixels * kl_weight", "784 * kl_weight")),
        "pixels",
        1,
    ),
    # the loss
    (
        "loss",
        "mean over pixels and latents",
        swap(
            LOSS,
            ("bce.flatten(1).sum(1)", "bce.flatten(1).mean(1)"),
            ("log_var.exp()).sum(1)", "log_var.exp()).mean(1)"),
        ),
        "56 pixels",
        3,
    ),
    (
        "loss",
        "only rows and columns summed",
        swap(LOSS, ("bce.flatten(1).sum(1)", "bce.sum((2, 3))")),
        "",
        6,
    ),
    (
        "loss",
        "four dimensions only",
        swap(LOSS, ("bce.flatten(1).sum(1)", "bce.sum((1, 2, 3))")),
        "Dimension out of range",
        1,
    ),
    (
        "loss",
        "nan for a perfect copy",
        swap(
            LOSS,
            (
                'F.binary_cross_entropy(x_hat, x, reduction="none")',
                "-(x * x_hat.log() + (1 - x) * (1 - x_hat).log()).clamp(min=-100)",
            ),
        ),
        "perfect copy",
        1,
    ),
    (
        "loss",
        "first channel",
        swap(LOSS, ("bce.flatten(1).sum(1)", "bce[:, 0].sum((1, 2))")),
        "too small",
        3,
    ),
    (
        "loss",
        "squared error",
        swap(LOSS, ('F.binary_cross_entropy(x_hat, x, reduction="none")', "(x - x_hat) ** 2")),
        "squared error",
        2,
    ),
    ("loss", "the sign", swap(LOSS, ("nll = bce", "nll = -bce")), "wrong sign", 3),
    (
        "loss",
        "white pixels only",
        swap(LOSS, ('F.binary_cross_entropy(x_hat, x, reduction="none")', "-x * x_hat.log()")),
        "black ones count too",
        3,
    ),
    ("loss", "sign of the KL", swap(LOSS, ("-0.5 *", "0.5 *")), "wrong sign", 2),
    (
        "loss",
        "KL subtracted",
        swap(LOSS, ("nll + beta * kl", "nll - beta * kl")),
        "larger divergence makes it smaller",
        2,
    ),
    (
        "loss",
        "beta on the pixels",
        swap(LOSS, ("nll + beta * kl", "beta * nll + kl")),
        '"nll" that beta',
        2,
    ),
    (
        "loss",
        "weighted KL",
        swap(
            LOSS,
            ("log_var.exp()).sum(1)", "log_var.exp()).sum(1) * beta"),
            ("nll + beta * kl", "nll + kl"),
        ),
        "beta other than 1",
        2,
    ),
    (
        "loss",
        "beta of the seed inside",
        swap(LOSS, ("nll + beta * kl", "nll + 0.392 * beta * kl")),
        "0.392 times",
        2,
    ),
    (
        "loss",
        "infinite",
        swap(
            LOSS,
            (
                'F.binary_cross_entropy(x_hat, x, reduction="none")',
                "-(x * x_hat.log() + (1 - x) * (1 - x_hat).log())",
            ),
        ),
        "infinite",
        1,
    ),
    (
        "loss",
        "a tuple",
        swap(
            LOSS, ('{"loss": nll + beta * kl, "nll": nll, "kl": kl}', "(nll + beta * kl, nll, kl)")
        ),
        "a tuple of 3",
        6,
    ),
    # the metric
    (
        "tracker",
        "count not reset",
        swap(
            MEAN,
            ("        self.reset_state()", "        self.total, self.count = 0.0, 0"),
            (
                "def reset_state(self):\n        self.total, self.count = 0.0, 0",
                "def reset_state(self):\n        self.total = 0.0",
            ),
        ),
        "After a reset",
        2,
    ),
    ("tracker", "divided by batches", swap(MEAN, ("len(values)", "1")), "number of batches", 2),
    (
        "tracker",
        "sum",
        swap(MEAN, ("return self.total / self.count", "return self.total")),
        "sum over all examples",
        2,
    ),
    ("tracker", "zero for nothing", swap(MEAN, ('float("nan")', "0.0")), "nan was expected", 1),
    (
        "tracker",
        "a graph behind a number",
        swap(
            MEAN,
            ("float(values.detach().sum())", "values.sum()"),
            ("return self.total / self.count", "return float(self.total / self.count)"),
        ),
        "graphs of all its batches",
        1,
    ),
    (
        "tracker",
        "divides by zero",
        swap(MEAN, ('        if self.count == 0:\n            return float("nan")\n', "")),
        "ZeroDivisionError",
        1,
    ),
    # fit
    (
        "fit",
        "first part held out",
        swap(
            FIT,
            ("train, held_out = x[:n], x[n:]", "held_out, train = x[:len(x) - n], x[len(x) - n:]"),
        ),
        "FIRST part",
        2,
    ),
    (
        "fit",
        "parts swapped",
        swap(
            FIT,
            ("int(len(x) * (1 - validation_split))", "int(len(x) * validation_split) or len(x)"),
        ),
        "the two parts are mixed up",
        2,
    ),
    (
        "fit",
        "rounded up",
        swap(
            FIT,
            ("int(len(x) * (1 - validation_split))", "math.ceil(len(x) * (1 - validation_split))"),
        ),
        "it trains on 9",
        2,
    ),
    (
        "fit",
        "the held-out part rounded down",
        swap(
            FIT,
            ("int(len(x) * (1 - validation_split))", "len(x) - int(len(x) * validation_split)"),
        ),
        "it trains on 9",
        2,
    ),
    (
        "fit",
        "PyTorch's own generator",
        swap(
            FIT,
            ("g = torch.Generator().manual_seed(seed)", "torch.manual_seed(seed)"),
            (", generator=g", ""),
        ),
        "a generator of their own",
        1,
    ),
    (
        "fit",
        "stops before all are told",
        swap(
            FIT,
            (
                "            c.on_epoch_end(epoch, logs)\n",
                "            c.on_epoch_end(epoch, logs)\n"
                "            if model.stop_training:\n                break\n",
            ),
        ),
        "when all were told",
        1,
    ),
    (
        "fit",
        "trains on validation",
        swap(
            FIT,
            (
                "            for name, value in model.evaluate",
                "            model.train_step(held_out)\n"
                "            for name, value in model.evaluate",
            ),
        ),
        "trained on as well",
        1,
    ),
    (
        "fit",
        "evaluated once",
        swap(FIT, ("if len(held_out) > 0:", "if len(held_out) and epoch == 0:")),
        "evaluated 1 times",
        3,
    ),
    (
        "fit",
        "evaluates training images",
        swap(FIT, ("model.evaluate(held_out)", "model.evaluate(train)")),
        "Other images are evaluated",
        2,
    ),
    (
        "fit",
        "no shuffling",
        swap(FIT, ("torch.randperm(n, generator=g)", "torch.arange(n)")),
        "never shuffled",
        1,
    ),
    (
        "fit",
        "one order",
        swap(FIT, ("order = torch", "order = order if epoch else torch")),
        "same order",
        1,
    ),
    ("fit", "seed ignored", swap(FIT, (", generator=g", "")), "differs from run to run", 1),
    ("fit", "seed fixed", swap(FIT, ("manual_seed(seed)", "manual_seed(0)")), "another seed", 1),
    (
        "fit",
        "evaluation mode",
        swap(FIT, ("        model.train()\n", "        model.eval()\n")),
        "evaluation mode",
        1,
    ),
    ("fit", "no gradients", "@torch.no_grad()" + FIT, "without gradients", 1),
    (
        "fit",
        "reset once",
        swap(
            FIT,
            ("    for epoch in range", "    model.reset_metrics()\n    for epoch in range"),
            ("        model.reset_metrics()\n        order", "        order"),
            ("in model.evaluate(held_out).items()", "in keep(model, held_out)"),
            (
                "def fit_model",
                "def keep(m, x):\n    v = m.values\n    r = m.evaluate(x)\n    m.values = v"
                "\n    return r.items()\n\n\ndef fit_model",
            ),
        ),
        "go on from epoch to epoch",
        1,
    ),
    ("fit", "val_ forgotten", swap(FIT, ('"val_" + name', "name")), "val_loss", 2),
    (
        "fit",
        "last epoch only",
        swap(
            FIT,
            ("        history.record(epoch, logs)\n", ""),
            ("    return history", "    history.record(epoch, logs)\n    return history"),
        ),
        "After 3 epochs",
        1,
    ),
    ("fit", "one epoch more", swap(FIT, ("range(epochs)", "range(epochs + 1)")), "", 4),
    (
        "fit",
        "returns the dict",
        swap(FIT, ("return history", "return history.history")),
        "no `history`",
        4,
    ),
    (
        "fit",
        "callbacks forgotten",
        swap(FIT, ("            c.on_epoch_end(epoch, logs)", "            pass")),
        "told set_model, on_train_begin, on_train_end",
        1,
    ),
    ("fit", "set_model forgotten", swap(FIT, ("        c.set_model(model)\n", "")), "", 4),
    (
        "fit",
        "training metrics only",
        swap(
            FIT,
            (
                "c.on_epoch_end(epoch, logs)",
                "c.on_epoch_end(epoch, {k: v for k, v in logs.items() if k[:4] != 'val_'})",
            ),
        ),
        "is told the metrics",
        1,
    ),
    (
        "fit",
        "never stops",
        swap(FIT, ("        if model.stop_training:\n            break\n", "")),
        "asked to stop",
        1,
    ),
    ("fit", "stop flag not cleared", swap(FIT, ("    model.stop_training = False\n", "")), "", 4),
    (
        "fit",
        "no end when stopped",
        swap(FIT, ("            break\n", "            return history\n")),
        "`on_train_end` is not called",
        1,
    ),
    # the model
    (
        "model",
        "latents fixed",
        swap(
            MODEL,
            ("FashionEncoder(latent_dim,", "FashionEncoder(2,"),
            ("FashionDecoder(latent_dim,", "FashionDecoder(2,"),
        ),
        "parameters",
        1,
    ),
    (
        "model",
        "beta ignored",
        swap(MODEL, ("latent_dim, beta, image_shape\n", "latent_dim, 0.392, image_shape\n")),
        "beta = 0.392",
        1,
    ),
    (
        "model",
        "beta changes with the latents",
        swap(
            MODEL,
            ("latent_dim, beta, image_shape\n", "latent_dim, beta * 2 / latent_dim, image_shape\n"),
        ),
        "beta = 1.66",
        1,
    ),
    (
        "model",
        "swapped in the layer",
        swap(MODEL, ("self.draw(mu, log_var, generator)", "self.draw(log_var, mu, generator)")),
        "wrong order",
        1,
    ),
    (
        "model",
        "swapped on return",
        swap(MODEL, ("generator)), mu, log_var", "generator)), log_var, mu")),
        "`mu` of a forward pass",
        1,
    ),
    (
        "model",
        "generator lost",
        swap(MODEL, ("log_var, generator)", "log_var)")),
        "generator handed on",
        1,
    ),
    (
        "model",
        "image only",
        swap(MODEL, ("generator)), mu, log_var", "generator))")),
        "a tensor of shape",
        5,
    ),
    (
        "model",
        "zero_grad too late",
        swap(
            MODEL,
            (
                "        self.optimizer.zero_grad()\n        loss.backward()\n",
                "        loss.backward()\n        self.optimizer.zero_grad()\n",
            ),
        ),
        "no step was taken",
        1,
    ),
    ("model", "no step", swap(MODEL, ("        self.optimizer.step()\n", "")), "no step", 1),
    (
        "model",
        "nll minimised",
        swap(MODEL, ('terms["loss"].mean()', 'terms["nll"].mean()')),
        "not down the gradient",
        1,
    ),
    (
        "model",
        "latent_dim not kept",
        swap(
            MODEL,
            (
                "self.latent_dim, self.beta, self.image_shape = latent_dim, beta, image_shape",
                "self.beta, self.image_shape = beta, image_shape",
            ),
        ),
        "it has latent_dim = None",
        1,
    ),
    (
        "model",
        "image_shape not kept",
        swap(
            MODEL,
            (
                "self.latent_dim, self.beta, self.image_shape = latent_dim, beta, image_shape",
                "self.latent_dim, self.beta = latent_dim, beta",
            ),
        ),
        "it has image_shape = [1, 28, 28]",
        1,
    ),
    (
        "model",
        "uphill",
        swap(MODEL, ('terms["loss"].mean()', '-terms["loss"].mean()')),
        "goes up",
        1,
    ),
    (
        "model",
        "an optimiser of its own",
        swap(
            MODEL,
            (
                "        self.optimizer.zero_grad()\n",
                "        self.optimizer = torch.optim.Adam(self.parameters())\n"
                "        self.optimizer.zero_grad()\n",
            ),
        ),
        "",
        2,
    ),
    (
        "model",
        "kl not tracked",
        swap(MODEL, ('        self.c.update_state(terms["kl"])\n', "")),
        "does not update the metric 'kl'",
        1,
    ),
    (
        "model",
        "metrics in a dict",
        swap(
            MODEL,
            (
                'self.a, self.b, self.c = Mean("loss"), Mean("nll"), Mean("kl")',
                'self.m = {k: Mean(k) for k in ("loss", "nll", "kl")}',
            ),
            ("self.a.", 'self.m["loss"].'),
            ("self.b.", 'self.m["nll"].'),
            ("self.c.", 'self.m["kl"].'),
        ),
        "loss, nll and kl were expected",
        1,
    ),
    (
        "model",
        "tracks only the last batch",
        swap(
            MODEL,
            (
                "    def track(self, terms):\n",
                "    def track(self, terms):\n        self.reset_metrics()\n",
            ),
        ),
        "knows one only",
        1,
    ),
    (
        "model",
        "train_step does not track",
        swap(
            MODEL,
            (
                "        self.optimizer.step()\n        self.track(terms)\n",
                "        self.optimizer.step()\n",
            ),
        ),
        "`train_step` does not update",
        1,
    ),
    (
        "model",
        "predict returns x",
        swap(MODEL, ("return self.decoder(self.encoder(batch)[0])", "return batch")),
        "hands back its input",
        1,
    ),
    (
        "model",
        "predict returns the codes",
        swap(MODEL, ("self.decoder(self.encoder(batch)[0])", "self.encoder(batch)[0]")),
        "shape",
        1,
    ),
    # early stopping
    (
        "early_stopping",
        "default is the training loss",
        swap(STOP, ('monitor="val_loss"', 'monitor="loss"')),
        "Which of the two is watched",
        1,
    ),
    (
        "early_stopping",
        "a shallow copy",
        swap(STOP, ("copy.deepcopy(self.model.state_dict())", "dict(self.model.state_dict())")),
        "not copied goes on changing",
        2,
    ),
    (
        "early_stopping",
        "never restored",
        swap(
            STOP,
            (
                "        if self.kept is not None:\n"
                "            self.model.load_state_dict(self.kept)",
                "        pass",
            ),
        ),
        "the last one",
        2,
    ),
    (
        "early_stopping",
        "waits too short",
        swap(STOP, ("self.wait >= self", "self.wait + 1 >= self")),
        "patience",
        1,
    ),
    (
        "early_stopping",
        "waits too long",
        swap(STOP, ("self.wait >= self", "self.wait > self")),
        "where Keras makes",
        1,
    ),
    (
        "early_stopping",
        "all losses nan",
        swap(STOP, ("if self.kept is not None:", "if True:")),
        "NoneType",
        2,
    ),
    (
        "early_stopping",
        "forgets only the best",
        swap(
            STOP,
            ('self.best, self.wait, self.kept = float("inf"), 0, None', 'self.best = float("inf")'),
            (
                "self.monitor, self.patience = monitor, patience\n",
                "self.monitor, self.patience = monitor, patience\n"
                "        self.wait, self.kept = 0, None\n",
            ),
        ),
        "of the FIRST one",
        1,
    ),
    (
        "early_stopping",
        "equal is better",
        swap(STOP, ("logs[self.monitor] < self.best", "logs[self.monitor] <= self.best")),
        "5, 5, 5, 5",
        1,
    ),
    (
        "early_stopping",
        "nan is better",
        swap(
            STOP, ("if logs[self.monitor] < self.best:", "if not logs[self.monitor] >= self.best:")
        ),
        "nan",
        1,
    ),
    (
        "early_stopping",
        "compared with the last",
        swap(
            STOP, ("        else:\n", "        else:\n            self.best = logs[self.monitor]\n")
        ),
        "",
        1,
    ),
    # the map
    (
        "manifold",
        "tail ignored",
        swap(QUANTILES, ("linspace(tail, 1 - tail,", "linspace(0.01, 0.99,")),
        "below the first",
        1,
    ),
    (
        "manifold",
        "middles of equal cells",
        swap(QUANTILES, ("torch.linspace(tail, 1 - tail, num)", "(torch.arange(num) + 0.5) / num")),
        "below the first",
        1,
    ),
    ("manifold", "cdf", swap(QUANTILES, (".icdf(", ".cdf(")), "below the first", 1),
    ("manifold", "falling", swap(QUANTILES, ("tail, 1 - tail", "1 - tail, tail")), "fall", 1),
    (
        "manifold",
        "by columns",
        swap(
            CODES,
            ("for y in values.flip(0) for x in values", "for x in values for y in values.flip(0)"),
        ),
        "Columns are filled first",
        1,
    ),
    (
        "manifold",
        "mirrored",
        swap(CODES, ("for x in values]", "for x in values.flip(0)]")),
        "mirrored",
        1,
    ),
    (
        "manifold",
        "a square",
        swap(CODES, ("for x in values])", "for x in values]).view(len(values), -1, 2)")),
        "shape",
        1,
    ),
]

WORDS = {
    ("padding", "odd zero put before the line"): "odd zero goes to the end",
    ("padding", "SameConv2d pads evenly on both sides"): "PyTorch's own padding",
    ("padding", "F.pad's order: height before width"): "height and width confused",
    ("padding", "SameConvTranspose2d cut at the end only"): "only the end was cut off",
    ("padding", "a slice that ends at -0"): "shape",
    ("encoder", "padding=1 at the stride of 2"): "pads evenly",
    ("encoder", "no ReLU after the linear layer of 32"): "after the linear layer of 32",
    ("encoder", "ReLU after mu and log_var"): "ReLUs after mu and log_var",
    ("encoder", "one layer gives both mu and log_var"): "one and the same",
    ("encoder", "PyTorch's initial weights"): "biases are not zero",
    ("sampling", "log_var taken for the standard deviation"): "`log_var` itself",
    ("sampling", "variance in place of the standard deviation"): "with the VARIANCE",
    ("sampling", "one noise for the whole batch"): "every example",
    ("sampling", "the same noise at every call"): "same at every call",
    ("sampling", "generator ignored"): "generator handed on",
    ("decoder", "output_padding"): "output_padding",
    ("decoder", "no sigmoid"): "without the sigmoid",
    ("decoder", "sigmoid twice"): "two sigmoids",
    ("decoder", "ReLU in place of the sigmoid"): "ReLU in place of the sigmoid",
    ("decoder", "height and width swapped"): "Two dimensions are swapped",
    ("seed_loss", "sum over the latent dimensions"): "sum over the 5 latent dimensions",
    ("seed_loss", "factor 1/2 put in"): "one half",
    ("seed_loss", "pixels added up"): "added up over the pixels",
    ("seed_loss", "beta does not depend on the latents"): "that of 2",
    ("seed_loss", "factor 2 missing in beta"): "which the published bracket lacks",
    ("loss", "mean over the pixels"): "56 pixels here",
    ("loss", "mean over the batch"): "one number for",
    ("loss", "x and x_hat swapped"): "swapped",
    ("loss", "probabilities taken for logits"): "a sigmoid too many",
    ("loss", "factor 1/2 missing"): "twice the right",
    ("loss", "log_var taken for log std"): "logarithm of a standard deviation",
    ("loss", "mean over the latent dimensions"): "5 latent dimensions here",
    ("loss", "beta ignored"): "whatever beta",
    ("tracker", "mean of the batches' means"): "a small batch counts too much",
    ("tracker", "never reset"): "epochs would pile up",
    ("tracker", "only the last batch"): "last batch only",
    ("tracker", "a tensor with its graph is kept"): "plain number",
    ("fit", "validation images are trained on"): "trained on as well",
    ("fit", "shuffled before the split"): "shuffled before it is split",
    ("fit", "trained in evaluation mode or without gradients"): "evaluation mode",
    ("fit", "metrics read after the validation"): "validation has emptied them",
    ("fit", "last batch dropped"): "smaller batch of an epoch is left out",
    ("model", "forward decodes mu"): "decodes `mu`",
    ("model", "no zero_grad"): "first batch still there",
    ("model", "sum over the batch minimised"): "as many times too long",
    ("model", "beta left out of the step"): "beta is left out",
    ("model", "test_step learns"): "`test_step` changes the weights",
    ("model", "two metrics of one name"): "loss, nll and kl were expected",
    ("model", "predict_step draws"): "something in it is random",
    ("early_stopping", "training loss watched"): "Which of the two is watched",
    ("early_stopping", "bad epochs counted over the whole training"): "forget those before",
    ("early_stopping", "best weights not copied, or never given back"): "kept and not copied",
    ("early_stopping", "best weights given back only when stopped"): "the last one",
    ("early_stopping", "first training remembered in the second"): "second training",
    ("manifold", "even grid from -5 to 5"): "PROBABILITIES",
    ("manifold", "probabilities from 0 to 1"): "infinite",
    ("manifold", "rows from the bottom up"): "run upwards",
    ("manifold", "the two dimensions swapped"): "swapped",
    ("manifold", "columns from the bottom up, as meshgrid gives them"): "by columns",
}
"""What the check itself observes of a known misconception, beside the message."""


def _id(case):
    return "-".join(case[:2]) if len(case) == 5 else case[0]


@pytest.mark.parametrize("name", EXERCISES)
def test_the_reference_scores_in_full(judged, name):
    for seed in range(3 if name in SLOW else 8):
        verdict = judged(name, seed=seed)
        assert verdict.verdict == "pass", (seed, verdict.message, verdict.detail)
        assert verdict.score == verdict.max_score == EXERCISES[name]


@pytest.mark.parametrize(("name", "source"), RIGHT, ids=map(_id, RIGHT))
def test_another_right_answer_scores_in_full(judged, name, source):
    for seed in range(1 if name in SLOW else 4):
        verdict = judged(name, source, seed=seed)
        assert verdict.verdict == "pass", (seed, verdict.message, verdict.detail)


@pytest.mark.parametrize(
    ("name", "mistake", "source", "words", "num_lost"), WRONG, ids=map(_id, WRONG)
)
def test_a_known_mistake_loses_points_and_is_described(
    judged, name, mistake, source, words, num_lost
):
    verdict = judged(name, source)
    lost = [part.name for part in verdict.criteria if not part.passed]
    messages = " ".join(part.message for part in verdict.criteria)
    assert verdict.verdict in ("partial", "fail", "error"), verdict
    assert words in messages, messages
    assert len(lost) == num_lost, (lost, messages)
    assert verdict.message


@pytest.mark.parametrize("one", mistakes("ps4"))
def test_a_misconception_is_named_and_described(judged, one):
    assert_named(judged, one.exercise.partition("_")[2], one, WORDS)


@pytest.mark.parametrize("name", EXERCISES)
def test_a_blank_scores_nothing(judged, name):
    blanks = []
    for solution in SOLUTIONS[name]:
        if solution[0].islower():
            blanks.append(f"def {solution}(*args, **kwargs):\n    raise NotImplementedError()\n")
            continue
        reference = getattr(home_of(solution), solution)
        base = reference.__mro__[1].__name__
        base = f"nn.{base}" if reference.__mro__[1].__module__.startswith("torch") else base
        base = "" if base == "object" else f"({base})"
        methods = [
            f"    def {member}(self, *args, **kwargs):\n        raise NotImplementedError()\n"
            for member, value in vars(reference).items()
            if inspect.isfunction(value) and (member != "__init__" or name != "padding")
        ]
        blanks.append(f"class {solution}{base}:\n" + "\n".join(methods))
    dotted = [f"{home_of(solution).__name__}.{solution}" for solution in SOLUTIONS[name]]
    verdict = judged(name, *blanks, solutions=dotted)
    assert (verdict.verdict, verdict.score) == ("blank", 0), verdict


def test_the_course_asks_for_these_points():
    assert sum(EXERCISES.values()) == 32
    tree = ast.parse(inspect.getsource(__import__("autograder.checks.ps4", fromlist=["ps4"])))
    checks = {
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
        and node.name[0] != "_"
        and any(isinstance(part, ast.YieldFrom) for part in ast.walk(node))
    }
    assert checks == set(EXERCISES)


def test_the_faulty_starter_scores_nothing(judged):
    exercises = load_assignment("ps4").exercises
    starter = next(exercise.body for exercise in exercises if exercise.start)
    verdict = judged("early_stopping", starter)
    assert verdict.score == 0, [part.name for part in verdict.criteria if part.passed]
