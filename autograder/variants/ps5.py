"""Other right answers to ps5, the convolutional VAE of faces."""

from autograder.variants import Variant

VARIANTS: tuple[Variant, ...] = (
    Variant(
        "ps5_scale",
        "clamped",
        """
def scale_images(images):
    if images.dtype == torch.uint8:
        images = images.float() / 255.0
    return (images - 0.5) / 0.5

def unscale_images(x):
    return torch.clamp(x * 0.5 + 0.5, 0, 1)
""",
    ),
    Variant(
        "ps5_scale",
        "in doubles, cut off from both sides",
        """
def scale_images(images: Tensor) -> Tensor:
    values = images.double()
    if not torch.is_floating_point(images):
        values = values / 255
    return values.mul(2).sub(1).to(torch.float32)

def unscale_images(x: Tensor) -> Tensor:
    return torch.minimum(torch.maximum((x + 1) / 2, torch.tensor(0.)), torch.tensor(1.))
""",
    ),
    Variant(
        "ps5_scale",
        "F.hardtanh",
        """
def scale_images(images):
    largest = 255 if images.dtype is torch.uint8 else 1
    return images.to(torch.float32).mul(2 / largest).sub(1)

def unscale_images(x):
    return F.hardtanh(x) / 2 + 0.5
""",
    ),
    Variant(
        "ps5_scale",
        "in place on a copy",
        """
def scale_images(images):
    x = images.clone().float()
    if images.dtype == torch.uint8:
        x /= 255
    x *= 2
    x -= 1
    return x

def unscale_images(x):
    pixels = x.clone()
    pixels += 1
    pixels /= 2
    pixels[pixels < 0] = 0
    pixels[pixels > 1] = 1
    return pixels
""",
    ),
    Variant(
        "ps5_scale",
        "torch.lerp and torch.where",
        """
def scale_images(images):
    pixels = images / 1.0 if torch.is_floating_point(images) else images / 255.0
    black, white = -torch.ones_like(pixels), torch.ones_like(pixels)
    return torch.lerp(black, white, pixels)

def unscale_images(x):
    pixels = 0.5 * (1 + x)
    pixels = torch.where(pixels < 0, torch.zeros_like(pixels), pixels)
    return torch.where(pixels > 1, torch.ones_like(pixels), pixels)
""",
    ),
    Variant(
        "ps5_encoder",
        "a loop over the layers",
        """
class FaceEncoder(nn.Module):
    def __init__(self, latent_dim, channels=3):
        super().__init__()
        self.k, self.channels = latent_dim, channels
        self.conv1 = nn.Conv2d(channels, 32, 4, 2, 1)
        self.conv2 = nn.Conv2d(32, 32, 4, 2, 1)
        self.conv3 = nn.Conv2d(32, 64, 4, 2, 1)
        self.conv4 = nn.Conv2d(64, 64, 4, 2, 1)
        self.conv5 = nn.Conv2d(64, 256, 4)
        self.linear = nn.Linear(256, 2 * latent_dim)

    def forward(self, x):
        if x.shape[1:] != (self.channels, 64, 64):
            raise ValueError(f"images of 64x64 are needed, got {tuple(x.shape)}")
        h = x
        for conv in (self.conv1, self.conv2, self.conv3, self.conv4, self.conv5):
            h = F.relu(conv(h))
        h = h.flatten(1)
        h = self.linear(h)
        mu = h[:, :self.k]
        var = F.softplus(h[:, self.k:]) + 1e-6
        return mu, var
""",
    ),
    Variant(
        "ps5_encoder",
        "a layer for each half",
        """
class FaceEncoder(nn.Module):
    def __init__(self, latent_dim, channels=3):
        super().__init__()
        sizes = (channels, 32, 32, 64, 64)
        self.want = (channels, 64, 64)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Conv2d(i, o, 4, stride=2, padding=1), nn.ReLU(inplace=True))
            for i, o in zip(sizes[:-1], sizes[1:])
        )
        self.last = nn.Sequential(nn.Conv2d(64, 256, 4), nn.ReLU())
        self.var_head = nn.Linear(256, latent_dim)
        self.mean_head = nn.Linear(256, latent_dim)

    def forward(self, x):
        if tuple(x.shape[1:]) != self.want:
            raise ValueError("wrong size")
        for block in self.blocks:
            x = block(x)
        x = self.last(x).squeeze(-1).squeeze(-1)
        return [self.mean_head(x), nn.Softplus()(self.var_head(x)).clamp_min(1e-6)]
""",
    ),
    Variant(
        "ps5_encoder",
        "a helper and torch.split",
        """
def halving(inputs, outputs):
    return nn.Conv2d(inputs, outputs, kernel_size=4, stride=2, padding=1)

class FaceEncoder(nn.Module):
    def __init__(self, latent_dim: int, channels: int = 3):
        super(FaceEncoder, self).__init__()
        self.shape = torch.Size([channels, 64, 64])
        self.convolutions = nn.Sequential(
            halving(channels, 32), nn.ReLU(), halving(32, 32), nn.ReLU(),
            halving(32, 64), nn.ReLU(), halving(64, 64), nn.ReLU(),
            nn.Conv2d(64, 256, kernel_size=4), nn.ReLU(),
        )
        self.head = nn.Linear(256, latent_dim * 2)

    def forward(self, x: Tensor):
        if x.dim() != 4 or x.shape[1:] != self.shape:
            raise ValueError("expected (B, %d, %d, %d), got %s" % (*self.shape, tuple(x.shape)))
        features = self.convolutions(x)
        outputs = self.head(features.reshape(x.shape[0], -1))
        mu, raw = outputs.split(outputs.shape[1] // 2, dim=1)
        return mu, torch.nn.functional.softplus(raw).add(1e-4)
""",
    ),
    Variant(
        "ps5_encoder",
        "the softplus as a logarithm of a sum",
        """
class FaceEncoder(nn.Module):
    def __init__(self, latent_dim, channels=3):
        super().__init__()
        self.channels = channels
        widths = [channels, 32, 32, 64, 64]
        layers = []
        for inputs, outputs in zip(widths, widths[1:]):
            layers += [nn.Conv2d(inputs, outputs, 4, 2, 1), nn.ReLU()]
        layers += [nn.Conv2d(widths[-1], 256, 4), nn.ReLU(), nn.Flatten()]
        self.features = nn.Sequential(*layers)
        self.linear = nn.Linear(256, 2 * latent_dim)

    def forward(self, x):
        batch, *rest = x.shape
        if rest != [self.channels, 64, 64]:
            raise ValueError(f"not {self.channels} x 64 x 64 but {rest}")
        mu, a = torch.chunk(self.linear(self.features(x)), 2, dim=-1)
        return mu, torch.logaddexp(a, torch.zeros_like(a)) + 1e-6
""",
    ),
    Variant(
        "ps5_encoder",
        "one convolution after another, with torch.relu",
        """
class FaceEncoder(nn.Module):
    FLOOR = 1e-6

    def __init__(self, latent_dim, channels=3):
        super().__init__()
        self.latent_dim = latent_dim
        self.channels = channels
        self.conv_a = nn.Conv2d(channels, 32, (4, 4), stride=(2, 2), padding=(1, 1))
        self.conv_b = nn.Conv2d(32, 32, (4, 4), stride=(2, 2), padding=(1, 1))
        self.conv_c = nn.Conv2d(32, 64, (4, 4), stride=(2, 2), padding=(1, 1))
        self.conv_d = nn.Conv2d(64, 64, (4, 4), stride=(2, 2), padding=(1, 1))
        self.conv_e = nn.Conv2d(64, 256, (4, 4))
        self.out = nn.Linear(256, 2 * latent_dim)
        self.positive = nn.Softplus()

    def check(self, x):
        right = x.ndim == 4 and x.size(1) == self.channels and x.size(2) == x.size(3) == 64
        if not right:
            raise ValueError("images must have shape (B, {}, 64, 64)".format(self.channels))

    def forward(self, x):
        self.check(x)
        h = torch.relu(self.conv_a(x))
        h = torch.relu(self.conv_b(h))
        h = torch.relu(self.conv_c(h))
        h = torch.relu(self.conv_d(h))
        h = torch.relu(self.conv_e(h))
        h = self.out(h[:, :, 0, 0])
        mu = h.narrow(1, 0, self.latent_dim)
        var = self.positive(h.narrow(1, self.latent_dim, self.latent_dim)) + self.FLOOR
        return mu, var
""",
    ),
    Variant(
        "ps5_encoder",
        "the halves by a reshape",
        """
class FaceEncoder(nn.Sequential):
    def __init__(self, latent_dim, channels=3):
        def block(i, o):
            return nn.Sequential(nn.Conv2d(i, o, 4, 2, padding=1), nn.ReLU())

        super().__init__(
            block(channels, 32), block(32, 32), block(32, 64), block(64, 64),
            nn.Conv2d(64, 256, 4), nn.ReLU(), nn.Flatten(start_dim=1),
            nn.Linear(256, 2 * latent_dim), nn.Unflatten(1, (2, latent_dim)),
        )
        self.channels = channels

    def forward(self, x):
        want = (self.channels, 64, 64)
        if any(a != b for a, b in zip(x.shape[1:], want)):
            raise ValueError(f"{want} is needed, and not {tuple(x.shape[1:])}")
        mu, a = super().forward(x).unbind(dim=1)
        return mu, F.softplus(a).clamp(min=1e-6)
""",
    ),
    Variant(
        "ps5_decoder",
        "layer by layer",
        """
class FaceDecoder(nn.Module):
    def __init__(self, latent_dim, channels=3):
        super().__init__()
        self.linear = nn.Linear(latent_dim, 256)
        self.tconv1 = nn.ConvTranspose2d(256, 64, 4)
        self.tconv2 = nn.ConvTranspose2d(64, 64, 4, 2, 1)
        self.tconv3 = nn.ConvTranspose2d(64, 32, 4, 2, 1)
        self.tconv4 = nn.ConvTranspose2d(32, 32, 4, 2, 1)
        self.tconv5 = nn.ConvTranspose2d(32, channels, 4, 2, 1)

    def forward(self, z):
        h = F.relu(self.linear(z)).view(-1, 256, 1, 1)
        h = F.relu(self.tconv1(h))
        h = F.relu(self.tconv2(h))
        h = F.relu(self.tconv3(h))
        h = F.relu(self.tconv4(h))
        return torch.tanh(self.tconv5(h))
""",
    ),
    # On a map of 1x1 there is nothing to step over, so the first stride does not matter.
    Variant(
        "ps5_decoder",
        "stride 2 from the one pixel on",
        """
class FaceDecoder(nn.Module):
    def __init__(self, latent_dim, channels=3):
        super().__init__()
        self.linear = nn.Linear(latent_dim, 256)
        widths = [256, 64, 64, 32, 32, channels]
        self.ups = nn.ModuleList(
            nn.ConvTranspose2d(i, o, 4, stride=2, padding=0 if i == 256 else 1)
            for i, o in zip(widths, widths[1:])
        )

    def forward(self, z):
        h = self.linear(z)[:, :, None, None]
        for up in self.ups:
            h = up(h.relu())
        return h.tanh()
""",
    ),
    Variant(
        "ps5_decoder",
        "a tanh made of a sigmoid",
        """
class FaceDecoder(nn.Module):
    def __init__(self, latent_dim, channels=3):
        super().__init__()
        up = lambda i, o, **how: nn.ConvTranspose2d(i, o, 4, **how)
        twice = dict(stride=2, padding=1)
        self.net = nn.Sequential(
            nn.Linear(latent_dim, 256), nn.ReLU(), nn.Unflatten(-1, (256, 1, 1)),
            up(256, 64), nn.ReLU(), up(64, 64, **twice), nn.ReLU(),
            up(64, 32, **twice), nn.ReLU(), up(32, 32, **twice), nn.ReLU(),
            up(32, channels, **twice),
        )

    def forward(self, z):
        return 2 * torch.sigmoid(2 * self.net(z)) - 1
""",
    ),
    Variant(
        "ps5_decoder",
        "blocks of a class of their own",
        """
class Up(nn.Module):
    def __init__(self, inputs, outputs, activation, **settings):
        super().__init__()
        self.layer = nn.ConvTranspose2d(inputs, outputs, kernel_size=4, **settings)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(self.layer(x))

class FaceDecoder(nn.Module):
    def __init__(self, latent_dim: int, channels: int = 3) -> None:
        super().__init__()
        doubling = {"stride": 2, "padding": 1}
        self.start = nn.Sequential(nn.Linear(latent_dim, 256), nn.ReLU(inplace=True))
        self.up = nn.Sequential(
            Up(256, 64, F.relu),
            Up(64, 64, F.relu, **doubling),
            Up(64, 32, F.relu, **doubling),
            Up(32, 32, F.relu, **doubling),
            Up(32, channels, torch.tanh, **doubling),
        )

    def forward(self, z: Tensor) -> Tensor:
        return self.up(self.start(z).unsqueeze(-1).unsqueeze(-1))
""",
    ),
    Variant(
        "ps5_decoder",
        "a Sequential that is extended",
        """
class FaceDecoder(nn.Module):
    def __init__(self, latent_dim, channels=3):
        super().__init__()
        self.fc = nn.Linear(latent_dim, 256 * 1 * 1)
        self.deconvs = nn.Sequential(nn.ReLU(), nn.ConvTranspose2d(256, 64, 4, stride=1, padding=0))
        previous = 64
        for width in (64, 32, 32, channels):
            self.deconvs.append(nn.ReLU())
            self.deconvs.append(nn.ConvTranspose2d(previous, width, 4, stride=2, padding=1))
            previous = width
        self.deconvs.append(nn.Tanh())

    def forward(self, z):
        batch = z.size(0)
        maps = self.fc(z).reshape(batch, 256, 1, 1)
        return self.deconvs(maps)
""",
    ),
    Variant(
        "ps5_log_likelihood",
        "constant, log var and distance",
        """
def gaussian_log_likelihood(x, mean, var=1.0):
    var = torch.as_tensor(var, dtype=x.dtype, device=x.device)
    each = -0.5 * math.log(2 * math.pi) - 0.5 * torch.log(var) - (x - mean) ** 2 / (2 * var)
    return each.flatten(1).sum(1)
""",
    ),
    Variant(
        "ps5_log_likelihood",
        "torch.distributions",
        """
def gaussian_log_likelihood(x, mean, var=1.0):
    var = torch.as_tensor(var, dtype=x.dtype, device=x.device).expand_as(x)
    return Normal(mean, var.sqrt()).log_prob(x).sum(tuple(range(1, x.ndim)))
""",
    ),
    Variant(
        "ps5_log_likelihood",
        "constants of the whole image",
        """
def gaussian_log_likelihood(x: Tensor, mean: Tensor, var=1.0) -> Tensor:
    var = torch.ones_like(mean) * var
    D = x[0].numel()
    constant = D * np.log(2 * np.pi) + var.log().flatten(1).sum(-1)
    return -0.5 * (constant + ((x - mean) * var ** -1 * (x - mean)).flatten(1).sum(-1))
""",
    ),
    Variant(
        "ps5_log_likelihood",
        "F.gaussian_nll_loss in doubles",
        """
def gaussian_log_likelihood(x, mean, var=1.0):
    x, mean = x.double(), mean.double()
    var = torch.as_tensor(var).double() * torch.ones_like(x)
    nll = F.gaussian_nll_loss(mean, x, var, full=True, reduction="none", eps=1e-12)
    return -nll.flatten(1).sum(1).float()
""",
    ),
    Variant(
        "ps5_log_likelihood",
        "a number and a tensor apart",
        """
def gaussian_log_likelihood(x, mean, var=1.0):
    log_var = var.log() if isinstance(var, torch.Tensor) else math.log(var)
    squared = torch.square(x - mean).div(var)
    log_density = squared.add(log_var).add(math.log(2 * math.pi)).mul(-0.5)
    return log_density.reshape(len(x), -1).sum(dim=-1)
""",
    ),
    Variant(
        "ps5_log_likelihood",
        "einsum over standardised residuals",
        """
LOG_2_PI = math.log(2.0 * math.pi)

def gaussian_log_likelihood(x, mean, var=1.0):
    std = torch.zeros_like(x).add(var).sqrt()
    residual = ((x - mean) / std).flatten(1)
    quadratic = torch.einsum("bd,bd->b", residual, residual)
    log_det = 2 * std.log().flatten(1).sum(1)
    return -(quadratic + log_det + residual.shape[1] * LOG_2_PI) / 2
""",
    ),
    Variant(
        "ps5_sample",
        "torch.randn",
        """
def draw_gaussian(mean, var, generator=None):
    var = torch.as_tensor(var, device=mean.device)
    eps = torch.randn(mean.shape, generator=generator, device=mean.device)
    return mean + torch.sqrt(var) * eps
""",
    ),
    Variant(
        "ps5_sample",
        "normal_ and a power",
        """
def draw_gaussian(mean, var, generator=None):
    eps = torch.empty_like(mean).normal_(generator=generator)
    return mean + eps * var ** 0.5
""",
    ),
    Variant(
        "ps5_sample",
        "torch.normal, shifted afterwards",
        """
def draw_gaussian(mean, var, generator=None):
    std = torch.as_tensor(var, device=mean.device).sqrt().expand(mean.shape)
    noise = torch.normal(0.0, 1.0, mean.shape, generator=generator, device=mean.device)
    return noise.mul(std).add(mean)
""",
    ),
    Variant(
        "ps5_sample",
        "a number by math.sqrt",
        """
def draw_gaussian(mean: Tensor, var, generator=None) -> Tensor:
    if isinstance(var, (int, float)):
        std = math.sqrt(var)
    else:
        std = var.to(mean).sqrt()
    noise = torch.randn(*mean.shape, dtype=mean.dtype, device=mean.device, generator=generator)
    noise = noise * std
    return noise + mean
""",
    ),
    Variant(
        "ps5_sample",
        "torch.addcmul, and randn_like without a generator",
        """
def standard_noise(like, generator):
    if generator is None:
        return torch.randn_like(like)
    return torch.randn(like.size(), generator=generator, device=like.device).type_as(like)

def draw_gaussian(mean, var, generator=None):
    std = torch.full_like(mean, var) if not torch.is_tensor(var) else var.expand_as(mean)
    return torch.addcmul(mean, std ** 0.5, standard_noise(mean, generator))
""",
    ),
    Variant(
        "ps5_kl",
        "1 + log var - mu^2 - var",
        """
def gaussian_kl_from_var(mu, var):
    return -0.5 * torch.sum(1 + torch.log(var) - mu.pow(2) - var, dim=-1)
""",
    ),
    Variant(
        "ps5_kl",
        "torch.distributions",
        """
def gaussian_kl_from_var(mu, var):
    return kl_divergence(Normal(mu, var.sqrt()), Normal(0.0, 1.0)).sum(-1)
""",
    ),
    Variant(
        "ps5_kl",
        "in doubles",
        """
def gaussian_kl_from_var(mu, var):
    mu, var = mu.double(), var.double()
    return ((mu ** 2 + var - 1 - var.log()) / 2).sum(-1).float()
""",
    ),
    Variant(
        "ps5_kl",
        "by way of the standard deviation",
        """
def gaussian_kl_from_var(mu: Tensor, var: Tensor) -> Tensor:
    std = torch.sqrt(var)
    each = torch.square(mu) / 2 + torch.square(std) / 2 - 0.5 - torch.log(std)
    return torch.sum(each, dim=mu.ndim - 1)
""",
    ),
    Variant(
        "ps5_kl",
        "term by term, with einsum",
        """
def gaussian_kl_from_var(mu, var):
    k = mu.shape[-1]
    squares = torch.einsum("...k,...k->...", mu, mu)
    traces = var.sum(-1)
    log_det = var.log().sum(-1)
    return (squares + traces - k - log_det) / 2
""",
    ),
    Variant(
        "ps5_kl",
        "independent Gaussians",
        """
def gaussian_kl_from_var(mu, var):
    posterior = torch.distributions.Independent(Normal(mu, var ** 0.5), 1)
    prior = torch.distributions.Independent(
        Normal(torch.zeros_like(mu), torch.ones_like(var)), 1
    )
    return torch.distributions.kl_divergence(posterior, prior)
""",
    ),
    Variant(
        "ps5_model",
        "no_grad as a decorator",
        """
class FaceVAE(nn.Module):
    def __init__(self, latent_dim=100, channels=3, var_x=0.1):
        super().__init__()
        self.latent_dim, self.channels, self.var_x = latent_dim, channels, var_x
        self.encoder = FaceEncoder(latent_dim, channels)
        self.decoder = FaceDecoder(latent_dim, channels)

    def encode(self, x):
        return self.encoder(x)

    def decode(self, z):
        return self.decoder(z)

    def forward(self, x, generator=None):
        mu, var = self.encode(x)
        z = draw_gaussian(mu, var, generator)
        return self.decode(z), mu, var

    @torch.no_grad()
    def reconstruct(self, x):
        out = self.decode(self.encode(x)[0])
        return out

    @torch.no_grad()
    def sample(self, num_samples, generator=None, noisy=False):
        device = next(self.parameters()).device
        z = torch.randn(num_samples, self.latent_dim, generator=generator, device=device)
        mean = self.decode(z)
        if not noisy:
            return mean
        return draw_gaussian(mean, self.var_x, generator)
""",
    ),
    Variant(
        "ps5_model",
        "var_x as a buffer, modes in a helper",
        """
class FaceVAE(nn.Module):
    def __init__(self, latent_dim=100, channels=3, var_x=0.1):
        super().__init__()
        self.latent_dim = latent_dim
        self.channels = channels
        self.register_buffer("variance", torch.tensor(var_x))
        self.to_image = FaceDecoder(latent_dim, channels)
        self.to_code = FaceEncoder(latent_dim, channels)

    @property
    def var_x(self):
        return self.variance.item()

    def encode(self, x):
        return self.to_code(x)

    def decode(self, z):
        return self.to_image(z)

    def forward(self, x, generator=None):
        mu, var = self.encode(x)
        eps = torch.randn(mu.shape, generator=generator, device=mu.device)
        return [self.decode(mu + eps * var ** 0.5), mu, var]

    def _quietly(self, act):
        was = self.training
        self.eval()
        with torch.inference_mode():
            out = act()
        self.train(was)
        return out

    def reconstruct(self, x):
        return self._quietly(lambda: self.decode(self.encode(x)[0]))

    def sample(self, num_samples, generator=None, noisy=False):
        where = self.variance.device

        def act():
            shape = (num_samples, self.latent_dim)
            mean = self.decode(torch.randn(shape, generator=generator, device=where))
            noise = torch.randn(mean.shape, generator=generator, device=where)
            return mean + noisy * self.var_x ** 0.5 * noise
        return self._quietly(act)
""",
    ),
    Variant(
        "ps5_model",
        "detached in the end",
        """
class FaceVAE(nn.Module):
    def __init__(self, latent_dim=100, channels=3, var_x=0.1):
        super().__init__()
        self.latent_dim, self.channels, self.var_x = latent_dim, channels, var_x
        self.encoder = FaceEncoder(self.latent_dim, self.channels)
        self.decoder = FaceDecoder(self.latent_dim, self.channels)

    def encode(self, x):
        mu, var = self.encoder(x)
        return mu, var

    def decode(self, z):
        x_hat = self.decoder(z)
        return x_hat

    def forward(self, x, generator=None):
        mu, var = self.encoder(x)
        return self.decoder(draw_gaussian(mu, var, generator=generator)), mu, var

    def reconstruct(self, x):
        return self.decode(self.encode(x)[0]).detach()

    def sample(self, num_samples, generator=None, noisy=False):
        weight = next(self.decoder.parameters())
        prior = weight.new_zeros(num_samples, self.latent_dim)
        images = self.decode(draw_gaussian(prior, 1.0, generator)).detach()
        return draw_gaussian(images, self.var_x, generator) if noisy else images
""",
    ),
    Variant(
        "ps5_model",
        "a context manager, halves in a ModuleDict",
        """
import contextlib

@contextlib.contextmanager
def looking(model):
    mode = model.training
    model.train(False)
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(mode)

class FaceVAE(nn.Module):
    def __init__(self, latent_dim: int = 100, channels: int = 3, var_x: float = 0.1) -> None:
        super().__init__()
        self.latent_dim, self.channels = latent_dim, channels
        self.var_x = float(var_x)
        settings = {"latent_dim": latent_dim, "channels": channels}
        self.halves = nn.ModuleDict(
            {"encoder": FaceEncoder(**settings), "decoder": FaceDecoder(**settings)}
        )

    def encode(self, x: Tensor):
        return self.halves["encoder"](x)

    def decode(self, z: Tensor) -> Tensor:
        return self.halves["decoder"](z)

    def forward(self, x: Tensor, generator: torch.Generator | None = None):
        posterior = self.encode(x)
        return self.decode(draw_gaussian(*posterior, generator)), *posterior

    def reconstruct(self, x: Tensor) -> Tensor:
        with looking(self):
            return self.decode(self.encode(x)[0])

    def sample(self, num_samples, generator=None, noisy=False) -> Tensor:
        device = [p.device for p in self.parameters()][0]
        with looking(self):
            z = torch.empty(num_samples, self.latent_dim, device=device)
            images = self.decode(z.normal_(generator=generator))
            if noisy:
                images = images + math.sqrt(self.var_x) * torch.empty_like(images).normal_(
                    generator=generator
                )
        return images
""",
    ),
    Variant(
        "ps5_model",
        "the halves as methods",
        """
class FaceVAE(nn.Module):
    def __init__(self, latent_dim=100, channels=3, var_x=0.1):
        super().__init__()
        self.latent_dim = latent_dim
        self.channels = channels
        self.var_x = var_x
        self.encode = FaceEncoder(latent_dim, channels)
        self.decode = FaceDecoder(latent_dim, channels)

    def forward(self, x, generator=None):
        mu, var = self.encode(x)
        std = torch.sqrt(var)
        eps = torch.randn(std.size(), generator=generator, device=std.device)
        z = mu + std * eps
        return (self.decode(z), mu, var)

    def reconstruct(self, x):
        training = self.training
        self.eval()
        with torch.no_grad():
            mu = self.encode(x)[0]
            pictures = self.decode(mu)
        if training:
            self.train()
        return pictures

    def sample(self, num_samples, generator=None, noisy=False):
        training = self.training
        self.eval()
        with torch.no_grad():
            shape = (num_samples, self.latent_dim)
            z = torch.randn(shape, generator=generator, device=self.where())
            pictures = self.decode(z)
            if noisy:
                pictures = draw_gaussian(pictures, self.var_x, generator)
        if training:
            self.train()
        return pictures

    def where(self):
        return next(iter(self.state_dict().values())).device
""",
    ),
    Variant(
        "ps5_checkpoint",
        "os.path",
        """
import os

def save_checkpoint(path, model, optimizer, epoch, history, generator=None):
    generator = generator or torch.default_generator
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    everything = dict(
        latent_dim=model.latent_dim, channels=model.channels, var_x=model.var_x,
        model=model.state_dict(), optimizer=optimizer.state_dict(),
        epoch=epoch, history=history, rng=generator.get_state(),
    )
    torch.save(everything, str(path) + ".tmp")
    os.replace(str(path) + ".tmp", path)

def restore_checkpoint(path, model, optimizer, generator=None):
    generator = generator or torch.default_generator
    saved = torch.load(path, map_location="cpu")
    for name in ("latent_dim", "channels", "var_x"):
        if saved[name] != getattr(model, name):
            raise ValueError(f"{name} is {saved[name]} in the file")
    model.load_state_dict(saved["model"])
    optimizer.load_state_dict(saved["optimizer"])
    generator.set_state(saved["rng"])
    return saved["epoch"], saved["history"]

def restore_face_vae(path):
    saved = torch.load(path, map_location="cpu")
    model = FaceVAE(saved["latent_dim"], saved["channels"], saved["var_x"])
    model.load_state_dict(saved["model"])
    return model
""",
    ),
    Variant(
        "ps5_checkpoint",
        "bytes made in memory",
        """
import os, io
from pathlib import Path

def _settings(model):
    return (model.latent_dim, model.channels, model.var_x)

def save_checkpoint(path, model, optimizer, epoch, history, generator=None):
    buffer = io.BytesIO()
    state = (generator or torch.random.default_generator).get_state()
    torch.save([_settings(model), model.state_dict(), optimizer.state_dict(), epoch,
                history, state], buffer)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.parent / ("new_" + path.name)
    new.write_bytes(buffer.getvalue())
    new.replace(path)

def restore_checkpoint(path, model, optimizer, generator=None):
    device = next(model.parameters()).device
    settings, weights, adam, epoch, history, state = torch.load(path, map_location=device)
    if tuple(settings) != _settings(model):
        raise ValueError("another model")
    model.load_state_dict(weights)
    optimizer.load_state_dict(adam)
    if generator is None:
        torch.set_rng_state(state.cpu())
    else:
        generator.set_state(state.cpu())
    return [epoch, history]

def restore_face_vae(path):
    settings, weights, *_ = torch.load(path, map_location=torch.device("cpu"))
    model = FaceVAE(*settings)
    model.load_state_dict(weights)
    return model.eval()
""",
    ),
    Variant(
        "ps5_checkpoint",
        "with_suffix, and the reading in a helper",
        """
SETTINGS = ["latent_dim", "channels", "var_x"]

def _read(path):
    return torch.load(str(path), map_location=torch.device("cpu"), weights_only=True)

def save_checkpoint(path, model, optimizer, epoch, history, generator=None):
    if generator is None:
        random_state = torch.get_rng_state()
    else:
        random_state = generator.get_state()
    checkpoint = {name: getattr(model, name) for name in SETTINGS}
    checkpoint["weights"] = model.state_dict()
    checkpoint["adam"] = optimizer.state_dict()
    checkpoint["done"] = {"epoch": epoch, "history": history}
    checkpoint["random"] = random_state
    path = Path(path).expanduser()
    os.makedirs(path.parent, exist_ok=True)
    half = path.with_suffix(".half")
    torch.save(checkpoint, half)
    half.rename(path)

def restore_checkpoint(path, model, optimizer, generator=None):
    checkpoint = _read(path)
    wrong = [name for name in SETTINGS if checkpoint[name] != getattr(model, name)]
    if wrong:
        raise ValueError("the file is of a model with another " + ", ".join(wrong))
    model.load_state_dict(checkpoint["weights"])
    optimizer.load_state_dict(checkpoint["adam"])
    if generator is None:
        torch.set_rng_state(checkpoint["random"])
    else:
        generator.set_state(checkpoint["random"])
    return checkpoint["done"]["epoch"], checkpoint["done"]["history"]

def restore_face_vae(path):
    checkpoint = _read(path)
    vae = FaceVAE(**{name: checkpoint[name] for name in SETTINGS})
    vae.load_state_dict(checkpoint["weights"])
    return vae
""",
    ),
    Variant(
        "ps5_checkpoint",
        "a named temporary file in the same folder",
        """
import tempfile

def save_checkpoint(path, model, optimizer, epoch, history, generator=None):
    rng = torch.default_generator if generator is None else generator
    path = Path(path)
    if not path.parent.exists():
        path.parent.mkdir(parents=True)
    contents = {
        "built": {"latent_dim": model.latent_dim, "channels": model.channels,
                  "var_x": model.var_x},
        "state": (model.state_dict(), optimizer.state_dict(), rng.get_state()),
        "so_far": (epoch, history),
    }
    handle, name = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            torch.save(contents, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise

def restore_checkpoint(path, model, optimizer, generator=None):
    rng = torch.default_generator if generator is None else generator
    with open(path, "rb") as file:
        contents = torch.load(file, map_location="cpu", weights_only=False)
    for name, value in contents["built"].items():
        if getattr(model, name) != value:
            raise ValueError(f"{name}: {value} there, {getattr(model, name)} here")
    weights, memory, random = contents["state"]
    model.load_state_dict(weights)
    optimizer.load_state_dict(memory)
    rng.set_state(random)
    return contents["so_far"]

def restore_face_vae(path):
    contents = torch.load(path, map_location=lambda storage, location: storage)
    model = FaceVAE(**contents["built"])
    model.load_state_dict(contents["state"][0])
    return model
""",
    ),
    Variant(
        "ps5_checkpoint",
        "written beside it and moved",
        """
import shutil

def _settings_of(model):
    return {"latent_dim": int(model.latent_dim), "channels": int(model.channels),
            "var_x": float(model.var_x)}

def save_checkpoint(path, model, optimizer, epoch, history, generator=None):
    path = os.fspath(path)
    folder, name = os.path.split(path)
    if folder:
        os.makedirs(folder, exist_ok=True)
    source = generator if generator is not None else torch.default_generator
    unfinished = os.path.join(folder, "." + name + ".unfinished")
    with open(unfinished, "wb") as file:
        torch.save(
            {
                "settings": _settings_of(model),
                "model": {key: value.cpu() for key, value in model.state_dict().items()},
                "optimizer": optimizer.state_dict(),
                "epoch": epoch,
                "history": history,
                "generator": source.get_state(),
            },
            file,
        )
    shutil.move(unfinished, path)

def restore_checkpoint(path, model, optimizer, generator=None):
    file = torch.load(path, map_location="cpu")
    if file["settings"] != _settings_of(model):
        raise ValueError(f"{file['settings']} in the file, {_settings_of(model)} here")
    model.load_state_dict(file["model"], strict=True)
    optimizer.load_state_dict(file["optimizer"])
    (generator if generator is not None else torch.default_generator).set_state(file["generator"])
    return file["epoch"], file["history"]

def restore_face_vae(path):
    file = torch.load(path, map_location="cpu")
    settings = file["settings"]
    model = FaceVAE(
        latent_dim=settings["latent_dim"], channels=settings["channels"], var_x=settings["var_x"]
    )
    model.load_state_dict(file["model"])
    return model.to("cpu")
""",
    ),
    Variant(
        "ps5_interpolate",
        "one code after another",
        """
def interpolate_faces(model, x_start, x_end, num_frames=11):
    training = model.training
    model.eval()
    with torch.no_grad():
        z_start = model.encode(x_start[None])[0]
        z_end = model.encode(x_end[None])[0]
        frames = []
        for i in range(num_frames):
            w = i / (num_frames - 1)
            frames.append(model.decode((1 - w) * z_start + w * z_end))
    model.train(training)
    return torch.cat(frames)
""",
    ),
    Variant(
        "ps5_interpolate",
        "np.linspace, decoded at once",
        """
@torch.no_grad()
def interpolate_faces(model, x_start, x_end, num_frames=11):
    mode = model.training
    model.eval()
    mu = model.encode(torch.stack((x_start, x_end)))[0]
    w = torch.from_numpy(np.linspace(0, 1, num_frames)).float().to(mu.device)[:, None]
    out = model.decode(mu[:1] + w * (mu[1:] - mu[:1]))
    model.train(mode)
    return out
""",
    ),
    Variant(
        "ps5_interpolate",
        "a comprehension over torch.linspace",
        """
def interpolate_faces(model, x_start, x_end, num_frames=11):
    was_training = model.training
    model.eval()
    with torch.no_grad():
        z_start, _ = model.encode(x_start.unsqueeze(0))
        z_end, _ = model.encode(x_end.unsqueeze(0))
        frames = [
            model.decode(z_start * (1.0 - w) + z_end * w)
            for w in torch.linspace(0.0, 1.0, steps=num_frames)
        ]
    if was_training:
        model.train()
    return torch.vstack(frames)
""",
    ),
    Variant(
        "ps5_interpolate",
        "einsum over both ends",
        """
def interpolate_faces(model, x_start: Tensor, x_end: Tensor, num_frames: int = 11) -> Tensor:
    mode = model.training
    try:
        model.train(False)
        with torch.inference_mode():
            means = model.encode(torch.stack([x_start, x_end], dim=0))[0]
            w = torch.arange(num_frames, device=means.device, dtype=means.dtype) / (num_frames - 1)
            codes = torch.einsum("fe,ek->fk", torch.stack([1 - w, w], dim=1), means)
            return model.decode(codes)
    finally:
        model.train(mode)
""",
    ),
    Variant(
        "ps5_interpolate",
        "detached, frame by frame, brought to the CPU",
        """
def interpolate_faces(model, x_start, x_end, num_frames=11):
    mode = model.training
    model.eval()
    mu, var = model.encode(torch.cat([x_start[None], x_end[None]]))
    mu = mu.detach()
    step = (mu[1] - mu[0]) / (num_frames - 1)
    frames = []
    for number in range(num_frames):
        frame = model.decode((mu[0] + number * step).view(1, -1))[0]
        frames.append(frame.detach().cpu())
    model.train(mode)
    return torch.stack(frames)
""",
    ),
    Variant(
        "ps5_attributes",
        "two means",
        """
def attribute_direction(codes, has_attribute):
    if has_attribute.sum() in (0, len(codes)):
        raise ValueError("nothing to compare")
    return codes[has_attribute].mean(0) - codes[~has_attribute].mean(0)

def edit_faces(model, x, direction, strength=1.0):
    training = model.training
    model.eval()
    with torch.no_grad():
        mu = model.encode(x)[0]
        out = model.decode(mu + strength * direction.to(mu.device))
    model.train(training)
    return out
""",
    ),
    Variant(
        "ps5_attributes",
        "weights of zero and one",
        """
def attribute_direction(codes, has_attribute):
    w = has_attribute.float()
    if w.sum() == 0 or (1 - w).sum() == 0:
        raise ValueError
    return w @ codes / w.sum() - (1 - w) @ codes / (1 - w).sum()

def edit_faces(model, x, direction, strength=1.0):
    mode = model.training
    model.train(False)
    mu, var = model.encode(x)
    step = direction.view(1, -1).to(x.device) * strength
    images = model.decode(mu.detach() + step).detach()
    model.train(mode)
    return images
""",
    ),
    Variant(
        "ps5_attributes",
        "sums in a loop",
        """
def attribute_direction(codes, has_attribute):
    sums = [torch.zeros_like(codes[0]), torch.zeros_like(codes[0])]
    counts = [0, 0]
    for code, flag in zip(codes, has_attribute.tolist()):
        sums[flag] = sums[flag] + code
        counts[flag] += 1
    if min(counts) == 0:
        raise ValueError(f"{counts[1]} images with the attribute, {counts[0]} without it")
    return sums[True] / counts[True] - sums[False] / counts[False]

@torch.no_grad()
def edit_faces(model, x, direction, strength=1.0):
    was_training = model.training
    model.eval()
    z = model.encode(x)[0].clone()
    z += strength * direction.to(z)
    edited = model.decode(z)
    model.train(was_training)
    return edited
""",
    ),
    Variant(
        "ps5_attributes",
        "index_select, and a helper for the means",
        """
def posterior_means(model, x):
    mu, _ = model.encode(x)
    return mu

def attribute_direction(codes: Tensor, has_attribute: Tensor) -> Tensor:
    yes = torch.nonzero(has_attribute).flatten()
    no = torch.nonzero(torch.logical_not(has_attribute)).flatten()
    if len(yes) == 0 or len(no) == 0:
        raise ValueError("one of the two groups is empty")
    return codes.index_select(0, yes).mean(dim=0).sub(codes.index_select(0, no).mean(dim=0))

def edit_faces(model, x: Tensor, direction: Tensor, strength: float = 1.0) -> Tensor:
    mode = model.training
    try:
        with torch.no_grad():
            z = posterior_means(model.eval(), x)
            return model.decode(torch.add(z, direction.to(z.device), alpha=strength))
    finally:
        model.train(mode)
""",
    ),
    Variant(
        "ps5_attributes",
        "in NumPy's doubles",
        """
def attribute_direction(codes, has_attribute):
    table, flags = codes.detach().cpu().double().numpy(), has_attribute.cpu().numpy().astype(bool)
    if flags.all() or not flags.any():
        raise ValueError("there is nothing to compare")
    difference = table[flags].mean(axis=0) - table[~flags].mean(axis=0)
    return torch.from_numpy(difference).to(codes.dtype).to(codes.device)

def edit_faces(model, x, direction, strength=1.0):
    mode = model.training
    model.eval()
    with torch.inference_mode():
        faces = []
        for image in x:
            z = model.encode(image[None])[0] + direction.to(image.device)[None] * strength
            faces.append(model.decode(z))
    model.train(mode)
    return torch.cat(faces)
""",
    ),
)
