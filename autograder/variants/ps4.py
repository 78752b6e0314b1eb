"""Right answers to ps4, the Keras-style VAE, in other words than the reference's."""

from autograder.variants import Variant

PADDING = (
    Variant(
        "ps4_padding",
        "the layers' own weights in functions",
        """
def same_padding(size, kernel, stride):
    out = (size + stride - 1) // stride
    total = max(0, (out - 1) * stride + kernel - size)
    before = total // 2
    return before, total - before


class SameConv2d(nn.Conv2d):
    def __init__(self, in_channels, out_channels, kernel_size, stride=1):
        super().__init__(in_channels, out_channels, kernel_size, stride)

    def forward(self, x):
        k, s = self.kernel_size[0], self.stride[0]
        t, b = same_padding(x.shape[2], k, s)
        l, r = same_padding(x.shape[3], k, s)
        return F.conv2d(F.pad(x, [l, r, t, b]), self.weight, self.bias, s)


class SameConvTranspose2d(nn.ConvTranspose2d):
    def __init__(self, in_channels, out_channels, kernel_size, stride=1):
        super().__init__(in_channels, out_channels, kernel_size, stride)

    def forward(self, x):
        k, s = self.kernel_size[0], self.stride[0]
        height, width = s * x.shape[2], s * x.shape[3]
        t, l = same_padding(height, k, s)[0], same_padding(width, k, s)[0]
        full = F.conv_transpose2d(x, self.weight, self.bias, s)
        return full[:, :, t:t + height, l:l + width]
""",
    ),
    Variant(
        "ps4_padding",
        "from the remainder, weights of one's own",
        """
def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    rest = size % stride
    total = max(kernel - stride, 0) if rest == 0 else max(kernel - rest, 0)
    return [total // 2, (total + 1) // 2]


class SameConv2d(nn.Module):
    def __init__(self, in_channels, out_channels, kernel_size, stride=1):
        super().__init__()
        weights = torch.empty(out_channels, in_channels, kernel_size, kernel_size)
        self.kernel = nn.Parameter(nn.init.xavier_uniform_(weights))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.stride = stride

    def forward(self, x):
        size = self.kernel.shape[-1]
        (t, b), (l, r) = (same_padding(n, size, self.stride) for n in x.shape[-2:])
        x = nn.ZeroPad2d((l, r, t, b))(x)
        return F.conv2d(x, self.kernel, self.bias, stride=self.stride)


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
    Variant(
        "ps4_padding",
        "unfold and fold",
        """
def same_padding(size, kernel, stride):
    steps = math.ceil(size / stride) - 1
    missing = steps * stride + kernel - size
    return (0, 0) if missing <= 0 else (missing // 2, math.ceil(missing / 2))


class SameConv2d(nn.Conv2d):
    def __init__(self, in_channels, out_channels, kernel_size, stride=1):
        super().__init__(in_channels, out_channels, kernel_size, stride)

    def forward(self, x):
        (k, _), (s, _) = self.kernel_size, self.stride
        (top, bottom), (left, right) = (same_padding(n, k, s) for n in x.shape[2:])
        patches = F.unfold(F.pad(x, (left, right, top, bottom)), k, stride=s)
        maps = torch.einsum("oi,bil->bol", self.weight.flatten(1), patches)
        height, width = (math.ceil(n / s) for n in x.shape[2:])
        return maps.unflatten(2, (height, width)) + self.bias.view(-1, 1, 1)


class SameConvTranspose2d(nn.ConvTranspose2d):
    def __init__(self, in_channels, out_channels, kernel_size, stride=1):
        super().__init__(in_channels, out_channels, kernel_size, stride)

    def forward(self, x):
        (k, _), (s, _) = self.kernel_size, self.stride
        height, width = (s * n for n in x.shape[2:])
        patches = torch.einsum("io,bil->bol", self.weight.flatten(1), x.flatten(2))
        size = tuple(s * (n - 1) + k for n in x.shape[2:])
        full = F.fold(patches, size, k, stride=s) + self.bias.view(-1, 1, 1)
        top, left = same_padding(height, k, s)[0], same_padding(width, k, s)[0]
        return full.narrow(2, top, height).narrow(3, left, width)
""",
    ),
    Variant(
        "ps4_padding",
        "a canvas of zeros, and negative padding",
        """
def same_padding(size, kernel, stride):
    outputs = len(range(0, size, stride))
    extra = max((outputs - 1) * stride + kernel - size, 0)
    after = math.ceil(extra / 2)
    return extra - after, after


class SameConv2d(nn.Conv2d):
    def __init__(self, in_channels, out_channels, kernel_size, stride=1):
        super().__init__(in_channels, out_channels, kernel_size, stride)

    def forward(self, x):
        batch, channels, height, width = x.shape
        top, bottom = same_padding(height, self.kernel_size[0], self.stride[0])
        left, right = same_padding(width, self.kernel_size[1], self.stride[1])
        canvas = x.new_zeros(batch, channels, top + height + bottom, left + width + right)
        canvas[:, :, top:top + height, left:left + width] = x
        return super().forward(canvas)


class SameConvTranspose2d(nn.ConvTranspose2d):
    def __init__(self, in_channels, out_channels, kernel_size, stride=1):
        super().__init__(in_channels, out_channels, kernel_size, stride)

    def forward(self, x):
        full = super().forward(x)
        cut = []
        for axis in (1, 0):  # F.pad begins with the last dimension
            want = x.shape[2 + axis] * self.stride[axis]
            before, _ = same_padding(want, self.kernel_size[axis], self.stride[axis])
            cut += [-before, -(full.shape[2 + axis] - before - want)]
        return F.pad(full, cut)
""",
    ),
    Variant(
        "ps4_padding",
        "one helper for both layers, float64 inside",
        """
def same_padding(size, kernel, stride):
    n = -(-size // stride)
    total = np.maximum((n - 1) * stride + kernel - size, 0)
    return int(total // 2), int(-(-total // 2))


def edges(layer, height, width):
    vertical = same_padding(height, layer.kernel_size[0], layer.stride[0])
    horizontal = same_padding(width, layer.kernel_size[1], layer.stride[1])
    return vertical, horizontal


class SameConv2d(nn.Conv2d):
    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, stride: int = 1):
        super().__init__(in_channels, out_channels, kernel_size=kernel_size, stride=stride)

    def forward(self, x: Tensor) -> Tensor:
        vertical, horizontal = edges(self, *x.shape[2:])
        padded = F.pad(x.double(), (*horizontal, *vertical))
        out = F.conv2d(padded, self.weight.double(), self.bias.double(), self.stride)
        return out.to(x.dtype)


class SameConvTranspose2d(nn.ConvTranspose2d):
    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, stride: int = 1):
        super().__init__(in_channels, out_channels, kernel_size=kernel_size, stride=stride)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.size(2) * self.stride[0], x.size(3) * self.stride[1]
        (top, _), (left, _) = edges(self, height, width)
        weight, bias = self.weight.double(), self.bias.double()
        out = F.conv_transpose2d(x.double(), weight, bias, stride=self.stride)
        rows, columns = slice(top, top + height), slice(left, left + width)
        return out[:, :, rows, columns].to(x.dtype)
""",
    ),
)

ENCODER = (
    Variant(
        "ps4_encoder",
        "convolutions in a Sequential",
        """
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
""",
    ),
    Variant(
        "ps4_encoder",
        "both heads in one layer, each started as its own",
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
        for head in self.heads.weight.data.chunk(2):
            nn.init.xavier_uniform_(head)

    def forward(self, x):
        x = self.second(self.first(x).relu()).relu()
        for conv in self.last:
            x = conv(x).relu()
        x = x.permute(0, 2, 3, 1).reshape(len(x), -1)  # Keras's order of places
        return self.heads(self.dense(x).relu()).chunk(2, dim=-1)
""",
    ),
    Variant(
        "ps4_encoder",
        "the padding as a layer of its own",
        """
class FashionEncoder(nn.Module):
    def __init__(self, latent_dim=2, image_shape=(1, 28, 28)):
        super().__init__()
        c, h, w = image_shape
        self.body = nn.Sequential(
            nn.Conv2d(c, 32, 3, padding="same"), nn.ReLU(inplace=True),
            nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(32, 64, 3, stride=2), nn.ReLU(inplace=True),
            nn.Conv2d(64, 64, 3, padding="same"), nn.ReLU(inplace=True),
            nn.Conv2d(64, 64, 3, padding="same"), nn.ReLU(inplace=True),
            nn.Flatten(),
            nn.Linear(64 * h * w // 4, 32), nn.ReLU(inplace=True),
        )
        self.mean, self.log_variance = nn.Linear(32, latent_dim), nn.Linear(32, latent_dim)
        self.apply(self.start)

    @staticmethod
    def start(layer):
        if hasattr(layer, "weight"):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.constant_(layer.bias, 0.0)

    def forward(self, x):
        features = self.body(x)
        return self.mean(features), self.log_variance(features)
""",
    ),
    Variant(
        "ps4_encoder",
        "the size found by a dry run",
        """
class FashionEncoder(nn.Module):
    def __init__(self, latent_dim: int = 2, image_shape: tuple = (1, 28, 28)):
        super().__init__()
        widths, strides = [image_shape[0], 32, 64, 64, 64], [1, 2, 1, 1]
        layers = []
        for before, after, stride in zip(widths[:-1], widths[1:], strides):
            layers += [SameConv2d(before, after, 3, stride), nn.ReLU()]
        self.convolutions = nn.Sequential(*layers)
        with torch.no_grad():
            size = self.convolutions(torch.zeros(1, *image_shape)).numel()
        self.hidden = nn.Linear(size, 32)
        self.z_mean = nn.Linear(32, latent_dim)
        self.z_log_var = nn.Linear(32, latent_dim)
        glorot_uniform(self)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = self.convolutions(x)
        h = F.relu(self.hidden(h.reshape(h.shape[0], -1)))
        return self.z_mean(h), self.z_log_var(h)
""",
    ),
    Variant(
        "ps4_encoder",
        "a block of one's own, and a ModuleDict of heads",
        """
class Block(SameConv2d):
    def forward(self, x):
        return super().forward(x).clamp(min=0)


class FashionEncoder(nn.Module):
    def __init__(self, latent_dim=2, image_shape=(1, 28, 28)):
        super().__init__()
        maps = 64 * math.prod(side // 2 for side in image_shape[1:])
        self.blocks = nn.ModuleList([
            Block(image_shape[0], 32, 3), Block(32, 64, 3, 2), Block(64, 64, 3), Block(64, 64, 3)
        ])
        self.dense = nn.Linear(maps, 32)
        self.heads = nn.ModuleDict({n: nn.Linear(32, latent_dim) for n in ("mu", "log_var")})
        for p in self.parameters():
            if p.dim() == 1:
                p.data.zero_()
            else:
                nn.init.xavier_uniform_(p)

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        x = torch.einsum("bchw,fchw->bf", x, self.dense.weight.view(32, *x.shape[1:]))
        x = torch.maximum(x + self.dense.bias, torch.zeros_like(x))
        return tuple(head(x) for head in self.heads.values())
""",
    ),
)

SAMPLING = (
    Variant(
        "ps4_sampling",
        "noise filled in place, addcmul",
        """
class Sampling(nn.Module):
    def __init__(self):
        super().__init__()

    def forward(self, mu, log_var, generator=None):
        noise = torch.empty_like(mu).normal_(generator=generator)
        return torch.addcmul(mu, log_var.exp().sqrt(), noise)
""",
    ),
    Variant(
        "ps4_sampling",
        "torch.normal for the noise",
        """
class Sampling(nn.Module):
    def forward(self, mu, log_var, generator=None):
        eps = torch.normal(torch.zeros_like(mu), torch.ones_like(mu), generator=generator)
        return eps.detach() * torch.exp(log_var / 2) + mu
""",
    ),
    Variant(
        "ps4_sampling",
        "rsample where there is no generator",
        """
class Sampling(nn.Module):
    def forward(self, mu, log_var, generator=None):
        std = torch.exp(log_var).sqrt()
        if generator is None:
            return torch.distributions.Normal(mu, std).rsample()
        return mu + std * torch.randn(*mu.shape, generator=generator, device=generator.device)
""",
    ),
    Variant(
        "ps4_sampling",
        "float64 inside",
        """
class Sampling(nn.Module):
    def forward(
        self, mu: Tensor, log_var: Tensor, generator: torch.Generator | None = None
    ) -> Tensor:
        eps = torch.randn(
            mu.size(), generator=generator, dtype=torch.float64, device=log_var.device
        )
        z = mu.double() + (log_var.double() * 0.5).exp() * eps
        return z.to(mu)
""",
    ),
    Variant(
        "ps4_sampling",
        "image by image",
        """
def draw_one(mean, spread, generator):
    noise = torch.randn(len(mean), generator=generator, device=mean.device)
    return mean + spread * noise


class Sampling(nn.Module):
    def forward(self, mu, log_var, generator=None):
        spreads = torch.pow(math.e, 0.5 * log_var)
        return torch.stack([draw_one(m, s, generator) for m, s in zip(mu, spreads)])
""",
    ),
    Variant(
        "ps4_sampling",
        "two uniform numbers, as Box and Muller have it",
        """
class Sampling(nn.Module):
    def forward(self, mu, log_var, generator=None):
        with torch.no_grad():
            u, v = torch.rand(2, *mu.shape, generator=generator, device=mu.device).unbind()
            noise = torch.sqrt(-2 * torch.log1p(-u)) * torch.cos(2 * math.pi * v)
        return mu + torch.exp(0.5 * log_var) * noise
""",
    ),
)

DECODER = (
    Variant(
        "ps4_decoder",
        "layers one by one",
        """
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
""",
    ),
    Variant(
        "ps4_decoder",
        "Keras's order of places, and PyTorch's own layers",
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
    Variant(
        "ps4_decoder",
        "all in a Sequential",
        """
class FashionDecoder(nn.Sequential):
    def __init__(self, latent_dim=2, image_shape=(1, 28, 28)):
        channels, height, width = image_shape
        half = (64, height // 2, width // 2)
        super().__init__(
            nn.Linear(latent_dim, math.prod(half)),
            nn.ReLU(),
            nn.Unflatten(1, half),
            SameConvTranspose2d(64, 32, 3, stride=2),
            nn.ReLU(),
            SameConvTranspose2d(32, channels, 3),
            nn.Sigmoid(),
        )
        glorot_uniform(self)
""",
    ),
    Variant(
        "ps4_decoder",
        "in place, and the sigmoid as a tanh",
        """
class FashionDecoder(nn.Module):
    def __init__(self, latent_dim=2, image_shape=(1, 28, 28)):
        super().__init__()
        self.rows, self.columns = image_shape[1] // 2, image_shape[2] // 2
        self.layers = nn.ModuleList([
            nn.Linear(latent_dim, self.rows * self.columns * 64),
            SameConvTranspose2d(64, 32, 3, 2),
            SameConvTranspose2d(32, image_shape[0], 3),
        ])
        glorot_uniform(self)

    def forward(self, z):
        dense, first, second = self.layers
        x = dense(z).relu_().unflatten(1, (64, self.rows, self.columns))
        x = first(x).clamp_(min=0.0)
        return torch.tanh(second(x) / 2).add(1).mul(0.5)
""",
    ),
    Variant(
        "ps4_decoder",
        "matmul, sizes in a buffer, each layer started by a helper",
        """
def initialised(layer):
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


class FashionDecoder(nn.Module):
    def __init__(self, latent_dim=2, image_shape=(1, 28, 28)):
        super().__init__()
        channels, height, width = image_shape
        self.register_buffer("sizes", torch.tensor([64, height // 2, width // 2]))
        self.expand = initialised(nn.Linear(latent_dim, int(self.sizes.prod())))
        self.grow = initialised(SameConvTranspose2d(64, 32, 3, 2))
        self.finish = initialised(SameConvTranspose2d(32, channels, 3))

    def forward(self, z):
        maps = torch.matmul(z, self.expand.weight.T) + self.expand.bias
        maps = torch.where(maps > 0, maps, 0.0).reshape(-1, *self.sizes.tolist())
        return F.logsigmoid(self.finish(torch.relu(self.grow(maps)))).exp()
""",
    ),
)

SEED_LOSS = (
    Variant(
        "ps4_seed_loss",
        "flattened, as published",
        """
def seed_loss(x, x_hat, mu, log_var):
    cross = F.binary_cross_entropy(x_hat.flatten(), x.flatten())
    kl = -5e-4 * torch.mean(1 + log_var - mu ** 2 - log_var.exp(), -1)
    return torch.mean(cross + kl)


def hidden_beta(latent_dim, num_pixels=784, kl_weight=5e-4):
    return num_pixels * kl_weight * 2 / latent_dim
""",
    ),
    Variant(
        "ps4_seed_loss",
        "all by hand",
        """
def seed_loss(x, x_hat, mu, log_var):
    pixels = -(x * x_hat.log() + (1 - x) * (1 - x_hat).log())
    return pixels.mean() + 5e-4 * (mu ** 2 + log_var.exp() - 1 - log_var).mean()


def hidden_beta(latent_dim, num_pixels=784, kl_weight=5e-4):
    weight_of_one_dimension = kl_weight / latent_dim
    return num_pixels * weight_of_one_dimension / 0.5
""",
    ),
    Variant(
        "ps4_seed_loss",
        "the divergences of torch.distributions, doubled",
        """
from torch.distributions import Normal, kl_divergence


def seed_loss(x, x_hat, mu, log_var):
    q = Normal(mu, torch.exp(0.5 * log_var))
    p = Normal(torch.zeros_like(mu), torch.ones_like(mu))
    divergence = 2 * kl_divergence(q, p).mean(dim=-1)
    return nn.BCELoss()(x_hat, x) + (5e-4 * divergence).mean()


def hidden_beta(latent_dim, num_pixels=784, kl_weight=5e-4):
    per_pixel = kl_weight / (0.5 * latent_dim)
    return per_pixel * num_pixels
""",
    ),
    Variant(
        "ps4_seed_loss",
        "image by image, float64 inside",
        """
def seed_loss(x, x_hat, mu, log_var):
    losses = []
    for image, drawn, m, v in zip(x.double(), x_hat.double(), mu.double(), log_var.double()):
        cross = F.binary_cross_entropy(drawn, image)
        bracket = (1 + v - m.square() - v.exp()).mean()
        losses.append(cross - 0.0005 * bracket)
    return torch.stack(losses).mean().to(x.dtype)


def hidden_beta(latent_dim: int, num_pixels: int = 784, kl_weight: float = 5e-4) -> float:
    kl_per_bracket = -0.5 * latent_dim  # the KL, for a mean of the bracket of 1
    return num_pixels * -kl_weight / kl_per_bracket
""",
    ),
    Variant(
        "ps4_seed_loss",
        "sums divided by counts",
        """
def seed_loss(x, x_hat, mu, log_var):
    bce = F.binary_cross_entropy(x_hat, x, reduction="sum").div(x.numel())
    squares = torch.einsum("bk,bk->", mu, mu)
    bracket = mu.numel() + log_var.sum() - squares - torch.exp(log_var).sum()
    bce -= 5e-4 * bracket / mu.numel()
    return bce


def hidden_beta(latent_dim, num_pixels=784, kl_weight=5e-4):
    beta = kl_weight
    beta *= num_pixels
    beta /= latent_dim
    return beta + beta
""",
    ),
)

LOSS = (
    Variant(
        "ps4_loss",
        "torch.distributions",
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
    Variant(
        "ps4_loss",
        "clamped logarithms, and a helper",
        """
def divergence(mu, log_var):
    return 0.5 * torch.sum(mu.square() + log_var.exp() - 1.0 - log_var, dim=-1)


def cross_entropy_terms(x, x_hat, mu, log_var, beta=1.0):
    eps = 1e-7
    x_hat = x_hat.clamp(eps, 1 - eps)
    pixels = -(x * x_hat.log() + (1 - x) * torch.log1p(-x_hat))
    nll = pixels.reshape(len(x), -1).sum(-1)
    kl = divergence(mu, log_var)
    return dict(loss=nll + kl * beta, nll=nll, kl=kl)
""",
    ),
    Variant(
        "ps4_loss",
        "image by image",
        """
def cross_entropy_terms(x, x_hat, mu, log_var, beta=1.0):
    nll = torch.stack(
        [F.binary_cross_entropy(b, a, reduction="sum") for a, b in zip(x, x_hat)]
    )
    kl = torch.zeros(len(mu), device=mu.device)
    for j in range(mu.shape[1]):
        m, v = mu[:, j], log_var[:, j]
        kl += (m * m + v.exp() - v - 1) / 2
    return {"loss": nll + beta * kl, "nll": nll, "kl": kl}
""",
    ),
    Variant(
        "ps4_loss",
        "back to logits",
        """
def cross_entropy_terms(x, x_hat, mu, log_var, beta=1.0):
    logits = torch.logit(x_hat, eps=1e-7)
    nll = nn.BCEWithLogitsLoss(reduction="none")(logits, x).view(x.size(0), -1).sum(dim=1)
    q = torch.distributions.Independent(torch.distributions.Normal(mu, (0.5 * log_var).exp()), 1)
    p = torch.distributions.Normal(torch.zeros_like(mu), torch.ones_like(mu))
    kl = torch.distributions.kl_divergence(q, torch.distributions.Independent(p, 1))
    return {"nll": nll, "kl": kl, "loss": nll + beta * kl}
""",
    ),
    Variant(
        "ps4_loss",
        "float64 inside, einsum",
        """
def cross_entropy_terms(
    x: Tensor, x_hat: Tensor, mu: Tensor, log_var: Tensor, beta: float = 1.0
) -> dict[str, Tensor]:
    kind = x_hat.dtype
    a, b = x.flatten(1).double(), x_hat.flatten(1).double()
    m, v = mu.double(), log_var.double()
    log_b, log_not_b = b.log().clamp(min=-100), torch.log1p(-b).clamp(min=-100)
    nll = -(torch.einsum("bp,bp->b", a, log_b) + torch.einsum("bp,bp->b", 1 - a, log_not_b))
    kl = (torch.einsum("bk,bk->b", m, m) + (torch.expm1(v) - v).sum(1)) / 2
    return {n: t.to(kind) for n, t in {"loss": nll + beta * kl, "nll": nll, "kl": kl}.items()}
""",
    ),
)

TRACKER = (
    Variant(
        "ps4_tracker",
        "a sum and a count",
        """
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
""",
    ),
    Variant(
        "ps4_tracker",
        "all values in a list",
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
    Variant(
        "ps4_tracker",
        "all values in a tensor on the CPU",
        """
class Mean:
    def __init__(self, name: str):
        self.name = name
        self.seen = torch.empty(0)

    def reset_state(self) -> None:
        self.seen = torch.empty(0)

    @torch.no_grad()
    def update_state(self, values: Tensor) -> None:
        self.seen = torch.cat([self.seen, values.cpu()])

    def result(self) -> float:
        return self.seen.mean().item()
""",
    ),
    Variant(
        "ps4_tracker",
        "a running mean",
        """
class Mean:
    def __init__(self, name):
        self.name = name
        self.reset_state()

    def reset_state(self):
        self.mean, self.seen = math.nan, 0

    def update_state(self, values):
        n = values.shape[0]
        batch = values.mean().item()
        self.seen += n
        self.mean = batch if self.seen == n else self.mean + (batch - self.mean) * n / self.seen

    def result(self):
        return self.mean
""",
    ),
    Variant(
        "ps4_tracker",
        "NumPy, and a list of pairs",
        """
class Mean:
    def __init__(self, name):
        self.name = name
        self.batches = []

    def reset_state(self):
        self.batches.clear()

    def update_state(self, values):
        numbers = values.detach().cpu().numpy().astype("float64")
        self.batches.append((numbers.sum(), numbers.size))

    def result(self):
        if not self.batches:
            return math.nan
        totals, counts = zip(*self.batches)
        return float(sum(totals) / sum(counts))
""",
    ),
)

FIT = (
    Variant(
        "ps4_fit",
        "an order, and slices of it",
        """
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
""",
    ),
    Variant(
        "ps4_fit",
        "a DataLoader",
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
    Variant(
        "ps4_fit",
        "a shuffled copy, split",
        """
def tell(callbacks, what, *args):
    for callback in callbacks:
        getattr(callback, what)(*args)


def fit_model(model, x, epochs=1, batch_size=32, validation_split=0.0, callbacks=(), seed=0,
              verbose=True):
    num_train = int(len(x) * (1 - validation_split))
    train, val = torch.split(x, [num_train, len(x) - num_train])
    random = torch.Generator()
    random.manual_seed(seed)
    history, model.stop_training = History(), False
    tell(callbacks, "set_model", model)
    tell(callbacks, "on_train_begin")
    for epoch in range(epochs):
        model.train()
        model.reset_metrics()
        shuffled = train[torch.randperm(num_train, generator=random).to(x.device)]
        for batch in tqdm(shuffled.split(batch_size), disable=not verbose, leave=False):
            model.train_step(batch.to(model.device, non_blocking=True))
        logs = model.get_metrics_result()
        if validation_split > 0 and val.shape[0]:
            logs |= {f"val_{key}": number for key, number in model.evaluate(val).items()}
        history.record(epoch, logs)
        if verbose:
            print(epoch_line(epoch, epochs, logs))
        tell(callbacks, "on_epoch_end", epoch, logs)
        if model.stop_training:
            break
    tell(callbacks, "on_train_end")
    return history
""",
    ),
    Variant(
        "ps4_fit",
        "samplers of indices",
        """
from torch.utils.data import BatchSampler, RandomSampler


def fit_model(model, x, epochs=1, batch_size=32, validation_split=0.0, callbacks=(), seed=0,
              verbose=True):
    keep = int(len(x) * (1 - validation_split))
    random = RandomSampler(range(keep), generator=torch.Generator().manual_seed(seed))
    batches = BatchSampler(random, batch_size, drop_last=False)
    history = History()
    model.stop_training = False
    for callback in callbacks:
        callback.set_model(model)
    for callback in callbacks:
        callback.on_train_begin()
    for epoch in range(epochs):
        if model.stop_training:
            break
        model.reset_metrics()
        model.train()
        for indices in batches:
            model.train_step(x[indices].to(model.device))
        logs = model.get_metrics_result()
        held_out = model.evaluate(x[keep:]) if keep < len(x) else {}
        for name in held_out:
            logs[f"val_{name}"] = held_out[name]
        history.record(epoch, logs)
        for callback in callbacks:
            callback.on_epoch_end(epoch, logs)
    for callback in callbacks:
        callback.on_train_end()
    return history
""",
    ),
    Variant(
        "ps4_fit",
        "NumPy's generator, and a function for an epoch",
        """
def one_epoch(model, images, batch_size, rng):
    model.train()
    model.reset_metrics()
    order = torch.from_numpy(rng.permutation(len(images)))
    for part in order.split(batch_size):
        batch = torch.stack([images[i] for i in part.tolist()])
        model.train_step(batch.to(model.device))
    return dict(model.get_metrics_result())


def fit_model(
    model: nn.Module,
    x: Tensor,
    epochs: int = 1,
    batch_size: int = 32,
    validation_split: float = 0.0,
    callbacks=(),
    seed: int = 0,
    verbose: bool = True,
) -> History:
    split = int(len(x) * (1 - validation_split))
    rng = np.random.default_rng(seed)
    model.stop_training = False
    result = History()
    for callback in callbacks:
        callback.set_model(model)
        callback.on_train_begin()
    for epoch in range(epochs):
        logs = one_epoch(model, x[:split], batch_size, rng)
        if split != len(x):
            validation = model.evaluate(x[split:])
            logs.update(zip(map("val_{}".format, validation), validation.values()))
        result.record(epoch, logs)
        _ = [callback.on_epoch_end(epoch, logs) for callback in callbacks]
        if model.stop_training:
            break
    _ = [callback.on_train_end() for callback in callbacks]
    return result
""",
    ),
)

MODEL = (
    Variant(
        "ps4_model",
        "a method that tells the metrics",
        """
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
""",
    ),
    Variant(
        "ps4_model",
        "one step for both, parts in another order",
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
    Variant(
        "ps4_model",
        "gradients asked for and put in place",
        """
class KerasVAE(KerasModel):
    def __init__(self, latent_dim=2, beta=0.392, image_shape=(1, 28, 28)):
        super().__init__()
        self.latent_dim = latent_dim
        self.beta = beta
        self.image_shape = tuple(image_shape)
        self.encoder = FashionEncoder(latent_dim, image_shape)
        self.sampling = Sampling()
        self.decoder = FashionDecoder(latent_dim, image_shape)
        for name in ("loss", "nll", "kl"):
            setattr(self, f"{name}_metric", Mean(name))

    def forward(self, x, generator=None):
        mu, log_var = self.encoder(x)
        z = self.sampling(mu, log_var, generator=generator)
        return self.decoder(z), mu, log_var

    def train_step(self, batch):
        terms = keras_terms(self, batch)
        parameters = list(self.parameters())
        gradients = torch.autograd.grad(terms["loss"].mean(), parameters)
        for parameter, gradient in zip(parameters, gradients):
            parameter.grad = gradient
        self.optimizer.step()
        for name, values in terms.items():
            getattr(self, f"{name}_metric").update_state(values.detach())

    def test_step(self, batch):
        for name, values in keras_terms(self, batch).items():
            getattr(self, f"{name}_metric").update_state(values)

    def predict_step(self, batch):
        mu, _ = self.encoder(batch)
        return self.decoder(mu)
""",
    ),
    Variant(
        "ps4_model",
        "a closure for the optimiser, the sum over the count",
        """
class KerasVAE(KerasModel):
    def __init__(
        self, latent_dim: int = 2, beta: float = 0.392, image_shape: tuple = (1, 28, 28)
    ) -> None:
        super().__init__()
        self.loss_mean, self.nll_mean, self.kl_mean = map(Mean, ("loss", "nll", "kl"))
        self.encoder, self.decoder = (
            part(latent_dim, image_shape) for part in (FashionEncoder, FashionDecoder)
        )
        self.reparameterise = Sampling()
        self.latent_dim, self.beta, self.image_shape = latent_dim, beta, image_shape

    def forward(self, x, generator=None):
        mu, log_var = self.encoder(x)
        x_hat = self.decoder(self.reparameterise(mu, log_var, generator))
        return x_hat, mu, log_var

    def note(self, terms):
        for metric in (self.loss_mean, self.nll_mean, self.kl_mean):
            metric.update_state(terms[metric.name])

    def train_step(self, batch):
        def closure():
            self.optimizer.zero_grad(set_to_none=False)
            terms = keras_terms(self, batch)
            loss = terms["loss"].sum() / len(batch)
            loss.backward()
            self.note(terms)
            return loss

        self.optimizer.step(closure)

    def test_step(self, batch):
        with torch.inference_mode():
            self.note(keras_terms(self, batch))

    def predict_step(self, batch):
        return self.decoder.forward(self.encoder.forward(batch)[0])
""",
    ),
    Variant(
        "ps4_model",
        "weights of 1/B for backward, and the mode put back",
        """
class KerasVAE(KerasModel):
    def __init__(self, latent_dim=2, beta=0.392, image_shape=(1, 28, 28)):
        super().__init__()
        self.image_shape, self.latent_dim = image_shape, latent_dim
        self.register_buffer("weight_of_kl", torch.tensor(float(beta)), persistent=False)
        self.beta = beta
        self.encoder = FashionEncoder(latent_dim=latent_dim, image_shape=image_shape)
        self.sampler = Sampling()
        self.decoder = FashionDecoder(latent_dim=latent_dim, image_shape=image_shape)
        self.tracker_loss = Mean(name="loss")
        self.tracker_nll = Mean(name="nll")
        self.tracker_kl = Mean(name="kl")

    def forward(self, x, generator=None):
        mu, log_var = self.encoder(x)
        z = self.sampler(mu, log_var, generator=generator)
        return (self.decoder(z), mu, log_var)

    def train_step(self, batch):
        for parameter in self.parameters():
            parameter.grad = None
        terms = keras_terms(self, batch)
        terms["loss"].backward(torch.full_like(terms["loss"], 1 / batch.shape[0]))
        self.optimizer.step()
        with torch.no_grad():
            for metric in self.metrics:
                metric.update_state(terms[metric.name])

    def test_step(self, batch):
        was_training = self.training
        self.eval()
        terms = keras_terms(self, batch)
        self.train(was_training)
        for metric in self.metrics:
            metric.update_state(terms[metric.name])

    def predict_step(self, batch):
        mu, log_var = self.encoder(batch)
        return self.decoder(mu).detach()
""",
    ),
)

EARLY_STOPPING = (
    Variant(
        "ps4_early_stopping",
        "a deep copy",
        """
import copy


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
""",
    ),
    Variant(
        "ps4_early_stopping",
        "all losses in a list, parameters copied back",
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
    Variant(
        "ps4_early_stopping",
        "mended line by line",
        """
class EarlyStopping(Callback):
    def __init__(self, monitor: str = "val_loss", patience: int = 0) -> None:
        super().__init__()
        self.monitor = monitor
        self.patience = patience
        self.on_train_begin()

    def on_train_begin(self) -> None:
        self.best = math.inf
        self.best_weights = None
        self.epochs_without_improvement = 0

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        value = logs[self.monitor]
        self.epochs_without_improvement += 1
        if value < self.best:
            self.best = value
            self.epochs_without_improvement = 0
            self.best_weights = {
                name: tensor.detach().clone() for name, tensor in self.model.state_dict().items()
            }
        elif self.epochs_without_improvement >= self.patience:
            self.model.stop_training = True

    def on_train_end(self) -> None:
        if self.best_weights:
            self.model.load_state_dict(self.best_weights)
""",
    ),
    Variant(
        "ps4_early_stopping",
        "weights written to memory",
        """
import io


class EarlyStopping(Callback):
    def __init__(self, monitor="val_loss", patience=0):
        super().__init__()
        self.monitor = monitor
        self.allowed = max(patience, 1)

    def on_train_begin(self):
        self.best = None
        self.left = self.allowed
        self.file = None

    def is_better(self, value):
        return not math.isnan(value) and (self.best is None or value < self.best)

    def on_epoch_end(self, epoch, logs):
        value = logs[self.monitor]
        if self.is_better(value):
            self.best, self.left, self.file = value, self.allowed, io.BytesIO()
            torch.save(self.model.state_dict(), self.file)
            return
        self.left -= 1
        self.model.stop_training = self.model.stop_training or self.left <= 0

    def on_train_end(self):
        if self.file is None:
            return
        self.file.seek(0)
        self.model.load_state_dict(torch.load(self.file, weights_only=True))
""",
    ),
    Variant(
        "ps4_early_stopping",
        "weights in one long vector",
        """
from torch.nn.utils import parameters_to_vector, vector_to_parameters


class EarlyStopping(Callback):
    def __init__(self, monitor="val_loss", patience=0):
        super().__init__()
        self.monitor = monitor
        self.patience = patience

    def on_train_begin(self):
        self.record = []

    def on_epoch_end(self, epoch, logs):
        value = logs[self.monitor]
        value = math.inf if value != value else value
        if value < min((loss for loss, _ in self.record), default=math.inf):
            weights = parameters_to_vector(self.model.parameters()).detach().clone()
            self.record.append((value, weights))
        else:
            self.record.append((value, None))
        bad = 0
        for _, kept in reversed(self.record):
            if kept is not None:
                break
            bad += 1
        if bad > 0 and bad >= self.patience:
            self.model.stop_training = True

    def on_train_end(self):
        best = [kept for _, kept in self.record if kept is not None]
        if best:
            vector_to_parameters(best[-1].clone(), self.model.parameters())
""",
    ),
)

MANIFOLD = (
    Variant(
        "ps4_manifold",
        "SciPy, and repeats",
        """
from scipy.stats import norm


def quantile_codes(num, tail=0.01):
    return torch.tensor(norm.ppf(np.linspace(tail, 1 - tail, num)), dtype=torch.float32)


def manifold_codes(values):
    n = len(values)
    return torch.stack([values.repeat(n), values.flip(0).repeat_interleave(n)], dim=-1)
""",
    ),
    Variant(
        "ps4_manifold",
        "erfinv, and a Cartesian product",
        """
def quantile_codes(num, tail=0.01):
    p = torch.linspace(tail, 1 - tail, num)
    return math.sqrt(2) * torch.erfinv(2 * p - 1)


def manifold_codes(values):
    return torch.cartesian_prod(values.flip(0), values).flip(1)
""",
    ),
    Variant(
        "ps4_manifold",
        "the standard library, and loops",
        """
from statistics import NormalDist


def quantile_codes(num, tail=0.01):
    step = (1 - 2 * tail) / (num - 1)
    return torch.tensor([NormalDist().inv_cdf(tail + i * step) for i in range(num)])


def manifold_codes(values):
    n = values.numel()
    codes = values.new_empty(n * n, 2)
    for row in range(n):
        for column in range(n):
            codes[row * n + column, 0] = values[column]
            codes[row * n + column, 1] = values[n - 1 - row]
    return codes
""",
    ),
    Variant(
        "ps4_manifold",
        "float64, and a mesh as in plots",
        """
def quantile_codes(num: int, tail: float = 0.01) -> Tensor:
    shares = torch.linspace(tail, 1 - tail, num, dtype=torch.float64)
    normal = torch.distributions.Normal(torch.zeros(1).double(), torch.ones(1).double())
    return normal.icdf(shares).float()


def manifold_codes(values: Tensor) -> Tensor:
    x, y = torch.meshgrid(values, torch.flip(values, dims=[0]), indexing="xy")
    return torch.dstack([x, y]).view(-1, 2)
""",
    ),
    Variant(
        "ps4_manifold",
        "bisection, and numbers of cells",
        """
def quantile_codes(num, tail=0.01):
    wanted = tail + (1 - 2 * tail) * torch.arange(num) / (num - 1)
    low, high = torch.full((num,), -10.0), torch.full((num,), 10.0)
    for _ in range(60):
        middle = (low + high) / 2
        below = 0.5 * (1 + torch.erf(middle / 2 ** 0.5)) < wanted
        low, high = torch.where(below, middle, low), torch.where(below, high, middle)
    return middle


def manifold_codes(values):
    n = len(values)
    cell = torch.arange(n * n, device=values.device)
    row = torch.div(cell, n, rounding_mode="floor")
    return torch.stack([values[cell % n], values[n - 1 - row]], dim=1)
""",
    ),
    Variant(
        "ps4_manifold",
        "NumPy, and back to where the values were",
        """
def quantile_codes(num, tail=0.01):
    return torch.special.ndtri(torch.from_numpy(np.linspace(tail, 1 - tail, num)))


def manifold_codes(values):
    line = values.cpu().numpy()
    x, y = np.meshgrid(line, line[::-1])
    return torch.from_numpy(np.column_stack([x.ravel(), y.ravel()])).to(values.device)
""",
    ),
)

VARIANTS: tuple[Variant, ...] = (
    *PADDING,
    *ENCODER,
    *SAMPLING,
    *DECODER,
    *SEED_LOSS,
    *LOSS,
    *TRACKER,
    *FIT,
    *MODEL,
    *EARLY_STOPPING,
    *MANIFOLD,
)
