"""Answers to ps3, written by someone who saw only the student's notebook."""

WRONG = {
    ("ps3_binarize", "without a generator every call draws the same"): '''
def binarize(x: Tensor, threshold: float = 0.5) -> Tensor:
    return (x > threshold).to(x.dtype)


def binarize_randomly(x: Tensor, generator: torch.Generator | None = None) -> Tensor:
    if generator is None:
        generator = torch.Generator(x.device).manual_seed(0)
    return torch.bernoulli(x, generator=generator)
''',
    ("ps3_binarize", "all images of a batch share one picture of noise"): '''
def binarize(x: Tensor, threshold: float = 0.5) -> Tensor:
    return (x > threshold).to(x.dtype)


def binarize_randomly(x: Tensor, generator: torch.Generator | None = None) -> Tensor:
    noise = torch.rand(x.shape[-2:], generator=generator, device=x.device)
    return (noise < x).to(x.dtype)
''',
    ("ps3_binarize", "clamped probabilities: a black pixel is white now and then"): '''
def binarize(x: Tensor, threshold: float = 0.5) -> Tensor:
    return (x > threshold).to(x.dtype)


def binarize_randomly(x: Tensor, generator: torch.Generator | None = None) -> Tensor:
    return torch.bernoulli(x.clamp(0.01, 0.99), generator=generator)
''',
    ("ps3_binarize", "256 levels of noise over 255: full white turns black now and then"): '''
def binarize(x: Tensor, threshold: float = 0.5) -> Tensor:
    return (x > threshold).to(x.dtype)


def binarize_randomly(x: Tensor, generator: torch.Generator | None = None) -> Tensor:
    noise = torch.randint(0, 256, x.shape, generator=generator, device=x.device) / 255
    return (noise < x).to(x.dtype)
''',
    ("ps3_binarize", "a threshold of 0 is taken for none"): '''
def binarize(x: Tensor, threshold: float = 0.5) -> Tensor:
    threshold = threshold or 0.5
    return (x > threshold).to(x.dtype)


def binarize_randomly(x: Tensor, generator: torch.Generator | None = None) -> Tensor:
    return torch.bernoulli(x, generator=generator)
''',
    ("ps3_binarize", "greys are stretched to [0, 1] before the cut"): '''
def binarize(x: Tensor, threshold: float = 0.5) -> Tensor:
    stretched = (x - x.min()) / (x.max() - x.min())
    return (stretched > threshold).to(x.dtype)


def binarize_randomly(x: Tensor, generator: torch.Generator | None = None) -> Tensor:
    return torch.bernoulli(x, generator=generator)
''',
    ("ps3_binarize", "draws come as rows, not in x's shape"): '''
def binarize(x: Tensor, threshold: float = 0.5) -> Tensor:
    return (x > threshold).to(x.dtype)


def binarize_randomly(x: Tensor, generator: torch.Generator | None = None) -> Tensor:
    return torch.bernoulli(x.flatten(1), generator=generator)
''',
    ("ps3_binarize", "NumPy's randomness where PyTorch's own was promised"): '''
def binarize(x: Tensor, threshold: float = 0.5) -> Tensor:
    return (x > threshold).to(x.dtype)


def binarize_randomly(x: Tensor, generator: torch.Generator | None = None) -> Tensor:
    if generator is None:
        noise = torch.from_numpy(np.random.rand(*x.shape)).to(x.device)
    else:
        noise = torch.rand(x.shape, generator=generator, device=x.device)
    return (noise < x).to(x.dtype)
''',
    ("ps3_binarize", "noise on the CPU, wherever x is"): '''
def binarize(x: Tensor, threshold: float = 0.5) -> Tensor:
    return (x > threshold).to(x.dtype)


def binarize_randomly(x: Tensor, generator: torch.Generator | None = None) -> Tensor:
    noise = torch.rand(x.shape, generator=generator)
    return (noise < x).to(x.dtype)
''',
    ("ps3_binarize", "a pixel at the threshold counts as white"): '''
def binarize(x: Tensor, threshold: float = 0.5) -> Tensor:
    return (x >= threshold).to(x.dtype)


def binarize_randomly(x: Tensor, generator: torch.Generator | None = None) -> Tensor:
    return torch.bernoulli(x, generator=generator)
''',
    ("ps3_binarize", "the comparison is written into x itself"): '''
def binarize(x: Tensor, threshold: float = 0.5) -> Tensor:
    return x.gt_(threshold)


def binarize_randomly(x: Tensor, generator: torch.Generator | None = None) -> Tensor:
    return torch.bernoulli(x, generator=generator)
''',
    ("ps3_mlp", "the seed is set inside, so every network is the same"): '''
def make_mlp(sizes: Sequence[int]) -> nn.Sequential:
    torch.manual_seed(0)
    layers = []
    for inputs, outputs in zip(sizes[:-1], sizes[1:]):
        if layers:
            layers.append(nn.ReLU())
        linear = nn.Linear(inputs, outputs)
        nn.init.normal_(linear.weight, std=math.sqrt(2 / inputs))
        nn.init.zeros_(linear.bias)
        layers.append(linear)
    return nn.Sequential(*layers)
''',
    ("ps3_mlp", "trunc_normal_ cuts at +-2 itself, which few inputs feel"): '''
def make_mlp(sizes: Sequence[int]) -> nn.Sequential:
    layers = []
    for inputs, outputs in zip(sizes[:-1], sizes[1:]):
        if layers:
            layers.append(nn.ReLU())
        linear = nn.Linear(inputs, outputs)
        nn.init.trunc_normal_(linear.weight, std=math.sqrt(2 / inputs))
        nn.init.zeros_(linear.bias)
        layers.append(linear)
    return nn.Sequential(*layers)
''',
    ("ps3_mlp", "the bias is counted as one more input"): '''
def make_mlp(sizes: Sequence[int]) -> nn.Sequential:
    layers = []
    for inputs, outputs in zip(sizes[:-1], sizes[1:]):
        if layers:
            layers.append(nn.ReLU())
        linear = nn.Linear(inputs, outputs)
        nn.init.normal_(linear.weight, std=math.sqrt(2 / (inputs + 1)))
        nn.init.zeros_(linear.bias)
        layers.append(linear)
    return nn.Sequential(*layers)
''',
    ("ps3_mlp", "biases are frozen at zero"): '''
def make_mlp(sizes: Sequence[int]) -> nn.Sequential:
    layers = []
    for inputs, outputs in zip(sizes[:-1], sizes[1:]):
        if layers:
            layers.append(nn.ReLU())
        linear = nn.Linear(inputs, outputs)
        nn.init.normal_(linear.weight, std=math.sqrt(2 / inputs))
        linear.bias = nn.Parameter(torch.zeros(outputs), requires_grad=False)
        layers.append(linear)
    return nn.Sequential(*layers)
''',
    ("ps3_mlp", "2 / sqrt(n)"): '''
def make_mlp(sizes: Sequence[int]) -> nn.Sequential:
    layers = []
    for inputs, outputs in zip(sizes[:-1], sizes[1:]):
        if layers:
            layers.append(nn.ReLU())
        linear = nn.Linear(inputs, outputs)
        nn.init.normal_(linear.weight, std=2 / math.sqrt(inputs))
        nn.init.zeros_(linear.bias)
        layers.append(linear)
    return nn.Sequential(*layers)
''',
    ("ps3_mlp", "Glorot's mean of inputs and outputs"): '''
def make_mlp(sizes: Sequence[int]) -> nn.Sequential:
    layers = []
    for inputs, outputs in zip(sizes[:-1], sizes[1:]):
        if layers:
            layers.append(nn.ReLU())
        linear = nn.Linear(inputs, outputs)
        nn.init.xavier_normal_(linear.weight, gain=nn.init.calculate_gain('relu'))
        nn.init.zeros_(linear.bias)
        layers.append(linear)
    return nn.Sequential(*layers)
''',
    ("ps3_mlp", "a uniform distribution"): '''
def make_mlp(sizes: Sequence[int]) -> nn.Sequential:
    layers = []
    for inputs, outputs in zip(sizes[:-1], sizes[1:]):
        if layers:
            layers.append(nn.ReLU())
        linear = nn.Linear(inputs, outputs)
        nn.init.kaiming_uniform_(linear.weight, nonlinearity='relu')
        nn.init.zeros_(linear.bias)
        layers.append(linear)
    return nn.Sequential(*layers)
''',
    ("ps3_mlp", "first and last layer written out: two sizes make two layers"): '''
def make_mlp(sizes: Sequence[int]) -> nn.Sequential:
    def linear(inputs, outputs):
        layer = nn.Linear(inputs, outputs)
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        nn.init.zeros_(layer.bias)
        return layer

    layers = [linear(sizes[0], sizes[1]), nn.ReLU()]
    for i in range(1, len(sizes) - 2):
        layers += [linear(sizes[i], sizes[i + 1]), nn.ReLU()]
    layers.append(linear(sizes[-2], sizes[-1]))
    return nn.Sequential(*layers)
''',
    ("ps3_mlp", "only the first two linear layers get their scale"): '''
def make_mlp(sizes: Sequence[int]) -> nn.Sequential:
    layers = []
    for inputs, outputs in zip(sizes[:-1], sizes[1:]):
        linear = nn.Linear(inputs, outputs)
        nn.init.zeros_(linear.bias)
        layers += [linear, nn.ReLU()]
    network = nn.Sequential(*layers[:-1])
    for layer in network[:3]:
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=math.sqrt(2 / layer.in_features))
    return network
''',
    ("ps3_mlp", "all layers are cut from the same draws"): '''
def make_mlp(sizes: Sequence[int]) -> nn.Sequential:
    pairs = list(zip(sizes[:-1], sizes[1:]))
    noise = torch.randn(max(a * b for a, b in pairs))
    layers = []
    for a, b in pairs:
        linear = nn.Linear(a, b)
        with torch.no_grad():
            linear.weight.copy_(noise[: a * b].view(b, a) * math.sqrt(2 / a))
            linear.bias.zero_()
        layers += [linear, nn.ReLU()]
    return nn.Sequential(*layers[:-1])
''',
    ("ps3_mlp", "no ReLU after a hidden layer as wide as the output"): '''
def make_mlp(sizes: Sequence[int]) -> nn.Sequential:
    layers = []
    for inputs, outputs in zip(sizes, sizes[1:]):
        linear = nn.Linear(inputs, outputs)
        nn.init.normal_(linear.weight, 0.0, math.sqrt(2 / inputs))
        nn.init.constant_(linear.bias, 0.0)
        layers.append(linear)
        if outputs != sizes[-1]:
            layers.append(nn.ReLU())
    return nn.Sequential(*layers)
''',
    ("ps3_log_likelihood", "computed without a graph"): '''
def bernoulli_log_likelihood(x: Tensor, logits: Tensor) -> Tensor:
    with torch.no_grad():
        cost = F.binary_cross_entropy_with_logits(logits, x, reduction="none")
    return -cost.flatten(1).sum(1)
''',
    ("ps3_log_likelihood", "squeeze: a batch of one loses its dimension"): '''
def bernoulli_log_likelihood(x: Tensor, logits: Tensor) -> Tensor:
    cost = F.binary_cross_entropy_with_logits(logits, x, reduction="none")
    return -cost.reshape(len(x), -1).sum(1, keepdim=True).squeeze()
''',
    ("ps3_log_likelihood", "where over an overflowing exp: gradients are NaN at large logits"): '''
def bernoulli_log_likelihood(x: Tensor, logits: Tensor) -> Tensor:
    softplus = torch.where(logits > 20, logits, torch.log1p(torch.exp(logits)))
    return (x * logits - softplus).flatten(1).sum(1)
''',
    ("ps3_log_likelihood", "the logits that were passed in are flipped in place"): '''
def bernoulli_log_likelihood(x: Tensor, logits: Tensor) -> Tensor:
    logits[x == 1] *= -1
    return -F.softplus(logits).flatten(1).sum(1)
''',
    ("ps3_log_likelihood", "only two and four dimensions are thought of"): '''
def bernoulli_log_likelihood(x: Tensor, logits: Tensor) -> Tensor:
    cost = F.binary_cross_entropy_with_logits(logits, x, reduction="none")
    return -cost.sum((1, 2, 3)) if x.ndim == 4 else -cost.sum(-1)
''',
    ("ps3_log_likelihood", "item() in a loop cuts the gradients"): '''
def bernoulli_log_likelihood(x: Tensor, logits: Tensor) -> Tensor:
    values = []
    for image, row in zip(x, logits):
        cost = F.binary_cross_entropy_with_logits(row, image, reduction="sum")
        values.append(-cost.item())
    return torch.tensor(values, device=logits.device)
''',
    ("ps3_log_likelihood", "binary_cross_entropy cuts each logarithm off at -100"): '''
def bernoulli_log_likelihood(x: Tensor, logits: Tensor) -> Tensor:
    cost = F.binary_cross_entropy(torch.sigmoid(logits), x, reduction="none")
    return -cost.flatten(1).sum(1)
''',
    ("ps3_log_likelihood", "images and logits are swapped"): '''
def bernoulli_log_likelihood(x: Tensor, logits: Tensor) -> Tensor:
    cost = F.binary_cross_entropy_with_logits(x, logits, reduction="none")
    return -cost.flatten(1).sum(1)
''',
    ("ps3_log_likelihood", "a mean over the pixels"): '''
def bernoulli_log_likelihood(x: Tensor, logits: Tensor) -> Tensor:
    cost = F.binary_cross_entropy_with_logits(logits, x, reduction="none")
    return -cost.flatten(1).mean(1)
''',
    ("ps3_kl", "the logarithm is taken of a detached std"): '''
def gaussian_kl_from_std(mu: Tensor, std: Tensor) -> Tensor:
    log_std = torch.log(std.detach())
    return (0.5 * (mu**2 + std**2 - 1) - log_std).sum(-1)
''',
    ("ps3_kl", "std is clamped at 0.01"): '''
def gaussian_kl_from_std(mu: Tensor, std: Tensor) -> Tensor:
    std = std.clamp(min=1e-2)
    return (0.5 * (mu**2 + std**2 - 1) - std.log()).sum(-1)
''',
    ("ps3_kl", "1e-8 beside the square, which a small std feels"): '''
def gaussian_kl_from_std(mu: Tensor, std: Tensor) -> Tensor:
    log_var = torch.log(std**2 + 1e-8)
    return 0.5 * (mu**2 + std**2 - 1 - log_var).sum(-1)
''',
    ("ps3_kl", "squeeze: a batch of one loses its dimension"): '''
def gaussian_kl_from_std(mu: Tensor, std: Tensor) -> Tensor:
    each = 0.5 * (mu**2 + std**2 - 1) - std.log()
    return each.sum(-1, keepdim=True).squeeze()
''',
    ("ps3_kl", "std is squared in place"): '''
def gaussian_kl_from_std(mu: Tensor, std: Tensor) -> Tensor:
    log_std = std.log()
    var = std.square_()
    return (0.5 * (mu**2 + var - 1) - log_std).sum(-1)
''',
    ("ps3_kl", "k is read from dimension 1"): '''
def gaussian_kl_from_std(mu: Tensor, std: Tensor) -> Tensor:
    k = mu.shape[1]
    squares = (mu**2).sum(-1) + (std**2).sum(-1)
    return 0.5 * (squares - k) - std.log().sum(-1)
''',
    ("ps3_kl", "the determinant is multiplied out, and underflows"): '''
def gaussian_kl_from_std(mu: Tensor, std: Tensor) -> Tensor:
    log_det = 2 * torch.log(std.prod(-1))
    return 0.5 * ((mu**2 + std**2 - 1).sum(-1) - log_det)
''',
    ("ps3_kl", "only two and three dimensions are thought of"): '''
def gaussian_kl_from_std(mu: Tensor, std: Tensor) -> Tensor:
    each = 0.5 * (mu**2 + std**2 - 1) - std.log()
    return each.sum(1) if mu.ndim == 2 else each.sum(2)
''',
    ("ps3_kl", "std is taken for a variance"): '''
def gaussian_kl_from_std(mu: Tensor, std: Tensor) -> Tensor:
    return 0.5 * (mu**2 + std - 1 - torch.log(std)).sum(-1)
''',
    ("ps3_kl", "the half stands before the logarithm of std as well"): '''
def gaussian_kl_from_std(mu: Tensor, std: Tensor) -> Tensor:
    return 0.5 * (mu**2 + std**2 - 1 - torch.log(std)).sum(-1)
''',
    ("ps3_model", "hidden sizes are sorted, where they should be reversed"): '''
class BernoulliVAE(nn.Module):
    def __init__(
        self, num_pixels: int = 784, hidden_sizes: Sequence[int] = (200,), latent_dim: int = 100
    ) -> None:
        super().__init__()
        self.num_pixels, self.latent_dim = num_pixels, latent_dim
        self.encoder = make_mlp((num_pixels, *hidden_sizes, 2 * latent_dim))
        self.decoder = make_mlp((latent_dim, *sorted(hidden_sizes), num_pixels))

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mu, raw = self.encoder(x.flatten(1)).chunk(2, dim=1)
        return mu, F.softplus(raw) + 1e-6

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z)

    def forward(
        self, x: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        mu, std = self.encode(x)
        noise = torch.randn(mu.shape, generator=generator, device=mu.device)
        return self.decode(mu + std * noise), mu, std
''',
    ("ps3_model", "clamped at 0.000001, which should be added"): '''
class BernoulliVAE(nn.Module):
    def __init__(
        self, num_pixels: int = 784, hidden_sizes: Sequence[int] = (200,), latent_dim: int = 100
    ) -> None:
        super().__init__()
        self.num_pixels, self.latent_dim = num_pixels, latent_dim
        self.encoder = make_mlp((num_pixels, *hidden_sizes, 2 * latent_dim))
        self.decoder = make_mlp((latent_dim, *reversed(hidden_sizes), num_pixels))

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mu, raw = self.encoder(x.flatten(1)).chunk(2, dim=1)
        return mu, F.softplus(raw).clamp(min=1e-6)

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z)

    def forward(
        self, x: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        mu, std = self.encode(x)
        noise = torch.randn(mu.shape, generator=generator, device=mu.device)
        return self.decode(mu + std * noise), mu, std
''',
    ("ps3_model", "the softplus is taken for a variance"): '''
class BernoulliVAE(nn.Module):
    def __init__(
        self, num_pixels: int = 784, hidden_sizes: Sequence[int] = (200,), latent_dim: int = 100
    ) -> None:
        super().__init__()
        self.num_pixels, self.latent_dim = num_pixels, latent_dim
        self.encoder = make_mlp((num_pixels, *hidden_sizes, 2 * latent_dim))
        self.decoder = make_mlp((latent_dim, *reversed(hidden_sizes), num_pixels))

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mu, raw = self.encoder(x.flatten(1)).chunk(2, dim=1)
        return mu, F.softplus(raw).sqrt() + 1e-6

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z)

    def forward(
        self, x: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        mu, std = self.encode(x)
        noise = torch.randn(mu.shape, generator=generator, device=mu.device)
        return self.decode(mu + std * noise), mu, std
''',
    ("ps3_model", "torch.normal, through which gradients are zero"): '''
class BernoulliVAE(nn.Module):
    def __init__(
        self, num_pixels: int = 784, hidden_sizes: Sequence[int] = (200,), latent_dim: int = 100
    ) -> None:
        super().__init__()
        self.num_pixels, self.latent_dim = num_pixels, latent_dim
        self.encoder = make_mlp((num_pixels, *hidden_sizes, 2 * latent_dim))
        self.decoder = make_mlp((latent_dim, *reversed(hidden_sizes), num_pixels))

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mu, raw = self.encoder(x.flatten(1)).chunk(2, dim=1)
        return mu, F.softplus(raw) + 1e-6

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z)

    def forward(
        self, x: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        mu, std = self.encode(x)
        z = torch.normal(mu, std, generator=generator)
        return self.decode(z), mu, std
''',
    ("ps3_model", "one noise number for all dimensions of an image"): '''
class BernoulliVAE(nn.Module):
    def __init__(
        self, num_pixels: int = 784, hidden_sizes: Sequence[int] = (200,), latent_dim: int = 100
    ) -> None:
        super().__init__()
        self.num_pixels, self.latent_dim = num_pixels, latent_dim
        self.encoder = make_mlp((num_pixels, *hidden_sizes, 2 * latent_dim))
        self.decoder = make_mlp((latent_dim, *reversed(hidden_sizes), num_pixels))

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mu, raw = self.encoder(x.flatten(1)).chunk(2, dim=1)
        return mu, F.softplus(raw) + 1e-6

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z)

    def forward(
        self, x: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        mu, std = self.encode(x)
        noise = torch.randn(len(mu), 1, generator=generator, device=mu.device)
        return self.decode(mu + std * noise), mu, std
''',
    ("ps3_model", "no draw in evaluation mode"): '''
class BernoulliVAE(nn.Module):
    def __init__(
        self, num_pixels: int = 784, hidden_sizes: Sequence[int] = (200,), latent_dim: int = 100
    ) -> None:
        super().__init__()
        self.num_pixels, self.latent_dim = num_pixels, latent_dim
        self.encoder = make_mlp((num_pixels, *hidden_sizes, 2 * latent_dim))
        self.decoder = make_mlp((latent_dim, *reversed(hidden_sizes), num_pixels))

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mu, raw = self.encoder(x.flatten(1)).chunk(2, dim=1)
        return mu, F.softplus(raw) + 1e-6

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z)

    def forward(
        self, x: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        mu, std = self.encode(x)
        noise = torch.randn(mu.shape, generator=generator, device=mu.device)
        z = mu + std * noise if self.training else mu
        return self.decode(z), mu, std
''',
    ("ps3_model", "a tanh on the means"): '''
class BernoulliVAE(nn.Module):
    def __init__(
        self, num_pixels: int = 784, hidden_sizes: Sequence[int] = (200,), latent_dim: int = 100
    ) -> None:
        super().__init__()
        self.num_pixels, self.latent_dim = num_pixels, latent_dim
        self.encoder = make_mlp((num_pixels, *hidden_sizes, 2 * latent_dim))
        self.decoder = make_mlp((latent_dim, *reversed(hidden_sizes), num_pixels))

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mu, raw = self.encoder(x.flatten(1)).chunk(2, dim=1)
        return torch.tanh(mu), F.softplus(raw) + 1e-6

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z)

    def forward(
        self, x: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        mu, std = self.encode(x)
        noise = torch.randn(mu.shape, generator=generator, device=mu.device)
        return self.decode(mu + std * noise), mu, std
''',
    ("ps3_model", "std is computed without a graph in encode"): '''
class BernoulliVAE(nn.Module):
    def __init__(
        self, num_pixels: int = 784, hidden_sizes: Sequence[int] = (200,), latent_dim: int = 100
    ) -> None:
        super().__init__()
        self.num_pixels, self.latent_dim = num_pixels, latent_dim
        self.encoder = make_mlp((num_pixels, *hidden_sizes, 2 * latent_dim))
        self.decoder = make_mlp((latent_dim, *reversed(hidden_sizes), num_pixels))

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mu, raw = self.encoder(x.flatten(1)).chunk(2, dim=1)
        with torch.no_grad():
            std = F.softplus(raw) + 1e-6
        return mu, std

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z)

    def forward(
        self, x: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        mu, std = self.encode(x)
        noise = torch.randn(mu.shape, generator=generator, device=mu.device)
        return self.decode(mu + std * noise), mu, std
''',
    ("ps3_model", "the logits are clamped"): '''
class BernoulliVAE(nn.Module):
    def __init__(
        self, num_pixels: int = 784, hidden_sizes: Sequence[int] = (200,), latent_dim: int = 100
    ) -> None:
        super().__init__()
        self.num_pixels, self.latent_dim = num_pixels, latent_dim
        self.encoder = make_mlp((num_pixels, *hidden_sizes, 2 * latent_dim))
        self.decoder = make_mlp((latent_dim, *reversed(hidden_sizes), num_pixels))

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mu, raw = self.encoder(x.flatten(1)).chunk(2, dim=1)
        return mu, F.softplus(raw) + 1e-6

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z).clamp(-10, 10)

    def forward(
        self, x: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        mu, std = self.encode(x)
        noise = torch.randn(mu.shape, generator=generator, device=mu.device)
        return self.decode(mu + std * noise), mu, std
''',
    ("ps3_model", "forward returns the variance"): '''
class BernoulliVAE(nn.Module):
    def __init__(
        self, num_pixels: int = 784, hidden_sizes: Sequence[int] = (200,), latent_dim: int = 100
    ) -> None:
        super().__init__()
        self.num_pixels, self.latent_dim = num_pixels, latent_dim
        self.encoder = make_mlp((num_pixels, *hidden_sizes, 2 * latent_dim))
        self.decoder = make_mlp((latent_dim, *reversed(hidden_sizes), num_pixels))

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mu, raw = self.encoder(x.flatten(1)).chunk(2, dim=1)
        return mu, F.softplus(raw) + 1e-6

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z)

    def forward(
        self, x: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        mu, std = self.encode(x)
        noise = torch.randn(mu.shape, generator=generator, device=mu.device)
        return self.decode(mu + std * noise), mu, std**2
''',
    ("ps3_model", "noise on the CPU, wherever the model is"): '''
class BernoulliVAE(nn.Module):
    def __init__(
        self, num_pixels: int = 784, hidden_sizes: Sequence[int] = (200,), latent_dim: int = 100
    ) -> None:
        super().__init__()
        self.num_pixels, self.latent_dim = num_pixels, latent_dim
        self.encoder = make_mlp((num_pixels, *hidden_sizes, 2 * latent_dim))
        self.decoder = make_mlp((latent_dim, *reversed(hidden_sizes), num_pixels))

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mu, raw = self.encoder(x.flatten(1)).chunk(2, dim=1)
        return mu, F.softplus(raw) + 1e-6

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z)

    def forward(
        self, x: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        mu, std = self.encode(x)
        noise = torch.randn(mu.shape, generator=generator)
        return self.decode(mu + std * noise), mu, std
''',
    ("ps3_model", "exp in place of softplus"): '''
class BernoulliVAE(nn.Module):
    def __init__(
        self, num_pixels: int = 784, hidden_sizes: Sequence[int] = (200,), latent_dim: int = 100
    ) -> None:
        super().__init__()
        self.num_pixels, self.latent_dim = num_pixels, latent_dim
        self.encoder = make_mlp((num_pixels, *hidden_sizes, 2 * latent_dim))
        self.decoder = make_mlp((latent_dim, *reversed(hidden_sizes), num_pixels))

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mu, raw = self.encoder(x.flatten(1)).chunk(2, dim=1)
        return mu, torch.exp(raw) + 1e-6

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z)

    def forward(
        self, x: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        mu, std = self.encode(x)
        noise = torch.randn(mu.shape, generator=generator, device=mu.device)
        return self.decode(mu + std * noise), mu, std
''',
    ("ps3_model", "z is added up in the returned mu"): '''
class BernoulliVAE(nn.Module):
    def __init__(
        self, num_pixels: int = 784, hidden_sizes: Sequence[int] = (200,), latent_dim: int = 100
    ) -> None:
        super().__init__()
        self.num_pixels, self.latent_dim = num_pixels, latent_dim
        self.encoder = make_mlp((num_pixels, *hidden_sizes, 2 * latent_dim))
        self.decoder = make_mlp((latent_dim, *reversed(hidden_sizes), num_pixels))

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mu, raw = self.encoder(x.flatten(1)).chunk(2, dim=1)
        return mu, F.softplus(raw) + 1e-6

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z)

    def forward(
        self, x: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        mu, std = self.encode(x)
        noise = torch.randn(mu.shape, generator=generator, device=mu.device)
        mu += std * noise
        return self.decode(mu), mu, std
''',
    ("ps3_terms", "the KL is detached in the loss"): '''
def bernoulli_terms(
    model: BernoulliVAE, x: Tensor, generator: torch.Generator | None = None
) -> dict[str, Tensor]:
    logits, mu, std = model(x, generator)
    nll = -bernoulli_log_likelihood(x.flatten(1), logits)
    kl = gaussian_kl_from_std(mu, std)
    return {"loss": nll + kl.detach(), "nll": nll, "kl": kl}
''',
    ("ps3_terms", "the loss takes the batch's mean KL"): '''
def bernoulli_terms(
    model: BernoulliVAE, x: Tensor, generator: torch.Generator | None = None
) -> dict[str, Tensor]:
    logits, mu, std = model(x, generator)
    nll = -bernoulli_log_likelihood(x.flatten(1), logits)
    kl = gaussian_kl_from_std(mu, std)
    return {"loss": nll + kl.mean(), "nll": nll, "kl": kl}
''',
    ("ps3_terms", "mu and std from encode, which other models need not have"): '''
def bernoulli_terms(
    model: BernoulliVAE, x: Tensor, generator: torch.Generator | None = None
) -> dict[str, Tensor]:
    logits, _, _ = model(x, generator)
    mu, std = model.encode(x)
    nll = -bernoulli_log_likelihood(x.flatten(1), logits)
    kl = gaussian_kl_from_std(mu, std)
    return {"loss": nll + kl, "nll": nll, "kl": kl}
''',
    ("ps3_terms", "squeeze: a batch of one image is taken for rows"): '''
def bernoulli_terms(
    model: BernoulliVAE, x: Tensor, generator: torch.Generator | None = None
) -> dict[str, Tensor]:
    logits, mu, std = model(x, generator)
    nll = -bernoulli_log_likelihood(x.squeeze().flatten(1), logits)
    kl = gaussian_kl_from_std(mu, std)
    return {"loss": nll + kl, "nll": nll, "kl": kl}
''',
    ("ps3_terms", "the caller's pixels are clamped in place"): '''
def bernoulli_terms(
    model: BernoulliVAE, x: Tensor, generator: torch.Generator | None = None
) -> dict[str, Tensor]:
    x = x.clamp_(1e-3, 1 - 1e-3)
    logits, mu, std = model(x, generator)
    nll = -bernoulli_log_likelihood(x.flatten(1), logits)
    kl = gaussian_kl_from_std(mu, std)
    return {"loss": nll + kl, "nll": nll, "kl": kl}
''',
    ("ps3_terms", "a mean over pixels, times 784"): '''
def bernoulli_terms(
    model: BernoulliVAE, x: Tensor, generator: torch.Generator | None = None
) -> dict[str, Tensor]:
    logits, mu, std = model(x, generator)
    cost = F.binary_cross_entropy_with_logits(logits, x.flatten(1), reduction="none")
    nll = 784 * cost.mean(1)
    kl = gaussian_kl_from_std(mu, std)
    return {"loss": nll + kl, "nll": nll, "kl": kl}
''',
    ("ps3_terms", "without a generator, the same seed every time"): '''
def bernoulli_terms(
    model: BernoulliVAE, x: Tensor, generator: torch.Generator | None = None
) -> dict[str, Tensor]:
    if generator is None:
        generator = torch.Generator(x.device).manual_seed(0)
    logits, mu, std = model(x, generator)
    nll = -bernoulli_log_likelihood(x.flatten(1), logits)
    kl = gaussian_kl_from_std(mu, std)
    return {"loss": nll + kl, "nll": nll, "kl": kl}
''',
    ("ps3_terms", "the KL is subtracted"): '''
def bernoulli_terms(
    model: BernoulliVAE, x: Tensor, generator: torch.Generator | None = None
) -> dict[str, Tensor]:
    logits, mu, std = model(x, generator)
    nll = -bernoulli_log_likelihood(x.flatten(1), logits)
    kl = gaussian_kl_from_std(mu, std)
    return {"loss": nll - kl, "nll": nll, "kl": kl}
''',
    ("ps3_terms", "a second pass for the KL"): '''
def bernoulli_terms(
    model: BernoulliVAE, x: Tensor, generator: torch.Generator | None = None
) -> dict[str, Tensor]:
    logits, mu, std = model(x, generator)
    nll = -bernoulli_log_likelihood(x.flatten(1), logits)
    _, mu, std = model(x, generator)
    kl = gaussian_kl_from_std(mu, std)
    return {"loss": nll + kl, "nll": nll, "kl": kl}
''',
    ("ps3_terms", "a sigmoid too many"): '''
def bernoulli_terms(
    model: BernoulliVAE, x: Tensor, generator: torch.Generator | None = None
) -> dict[str, Tensor]:
    logits, mu, std = model(x, generator)
    nll = -bernoulli_log_likelihood(x.flatten(1), torch.sigmoid(logits))
    kl = gaussian_kl_from_std(mu, std)
    return {"loss": nll + kl, "nll": nll, "kl": kl}
''',
    ("ps3_terms", "computed without a graph"): '''
def bernoulli_terms(
    model: BernoulliVAE, x: Tensor, generator: torch.Generator | None = None
) -> dict[str, Tensor]:
    with torch.no_grad():
        logits, mu, std = model(x, generator)
        nll = -bernoulli_log_likelihood(x.flatten(1), logits)
        kl = gaussian_kl_from_std(mu, std)
    return {"loss": nll + kl, "nll": nll, "kl": kl}
''',
    ("ps3_fit", "gradients are cleared once an epoch"): '''
def fit(
    model: BernoulliVAE,
    x: Tensor,
    epochs: int,
    batch_size: int = 64,
    learning_rate: float = 1e-3,
    seed: int = 0,
    x_held_out: Tensor | None = None,
    redraw: Callable[[Tensor, torch.Generator], Tensor] | None = None,
) -> dict[str, list[dict[str, float]]]:
    device = next(model.parameters()).device
    order = torch.Generator().manual_seed(seed)
    noise = torch.Generator(device).manual_seed(seed)
    optimizer = torch.optim.RMSprop(model.parameters(), lr=learning_rate)
    history = {"train": [], "held_out": []}
    if x_held_out is not None:
        history["held_out"].append(mean_terms(model, x_held_out))

    for _ in range(epochs):
        optimizer.zero_grad()
        totals = {"loss": 0.0, "nll": 0.0, "kl": 0.0}
        for rows in torch.randperm(len(x), generator=order).split(batch_size):
            batch = x[rows].to(device)
            if redraw is not None:
                batch = redraw(batch, noise)
            terms = bernoulli_terms(model, batch, noise)
            terms["loss"].mean().backward()
            optimizer.step()
            for name in totals:
                totals[name] += terms[name].sum().item()
        history["train"].append({name: total / len(x) for name, total in totals.items()})
        if x_held_out is not None:
            history["held_out"].append(mean_terms(model, x_held_out))
    return history
''',
    ("ps3_fit", "the noise is seeded anew for every batch"): '''
def fit(
    model: BernoulliVAE,
    x: Tensor,
    epochs: int,
    batch_size: int = 64,
    learning_rate: float = 1e-3,
    seed: int = 0,
    x_held_out: Tensor | None = None,
    redraw: Callable[[Tensor, torch.Generator], Tensor] | None = None,
) -> dict[str, list[dict[str, float]]]:
    device = next(model.parameters()).device
    order = torch.Generator().manual_seed(seed)
    noise = torch.Generator(device).manual_seed(seed)
    optimizer = torch.optim.RMSprop(model.parameters(), lr=learning_rate)
    history = {"train": [], "held_out": []}
    if x_held_out is not None:
        history["held_out"].append(mean_terms(model, x_held_out))

    for _ in range(epochs):
        totals = {"loss": 0.0, "nll": 0.0, "kl": 0.0}
        for rows in torch.randperm(len(x), generator=order).split(batch_size):
            noise = torch.Generator(device).manual_seed(seed)
            batch = x[rows].to(device)
            if redraw is not None:
                batch = redraw(batch, noise)
            terms = bernoulli_terms(model, batch, noise)
            optimizer.zero_grad()
            terms["loss"].mean().backward()
            optimizer.step()
            for name in totals:
                totals[name] += terms[name].sum().item()
        history["train"].append({name: total / len(x) for name, total in totals.items()})
        if x_held_out is not None:
            history["held_out"].append(mean_terms(model, x_held_out))
    return history
''',
    ("ps3_fit", "the noise in z does not come from the seed"): '''
def fit(
    model: BernoulliVAE,
    x: Tensor,
    epochs: int,
    batch_size: int = 64,
    learning_rate: float = 1e-3,
    seed: int = 0,
    x_held_out: Tensor | None = None,
    redraw: Callable[[Tensor, torch.Generator], Tensor] | None = None,
) -> dict[str, list[dict[str, float]]]:
    device = next(model.parameters()).device
    order = torch.Generator().manual_seed(seed)
    noise = torch.Generator(device).manual_seed(seed)
    optimizer = torch.optim.RMSprop(model.parameters(), lr=learning_rate)
    history = {"train": [], "held_out": []}
    if x_held_out is not None:
        history["held_out"].append(mean_terms(model, x_held_out))

    for _ in range(epochs):
        totals = {"loss": 0.0, "nll": 0.0, "kl": 0.0}
        for rows in torch.randperm(len(x), generator=order).split(batch_size):
            batch = x[rows].to(device)
            if redraw is not None:
                batch = redraw(batch, noise)
            terms = bernoulli_terms(model, batch)
            optimizer.zero_grad()
            terms["loss"].mean().backward()
            optimizer.step()
            for name in totals:
                totals[name] += terms[name].sum().item()
        history["train"].append({name: total / len(x) for name, total in totals.items()})
        if x_held_out is not None:
            history["held_out"].append(mean_terms(model, x_held_out))
    return history
''',
    ("ps3_fit", "images are redrawn once, before the first epoch"): '''
def fit(
    model: BernoulliVAE,
    x: Tensor,
    epochs: int,
    batch_size: int = 64,
    learning_rate: float = 1e-3,
    seed: int = 0,
    x_held_out: Tensor | None = None,
    redraw: Callable[[Tensor, torch.Generator], Tensor] | None = None,
) -> dict[str, list[dict[str, float]]]:
    device = next(model.parameters()).device
    order = torch.Generator().manual_seed(seed)
    noise = torch.Generator(device).manual_seed(seed)
    optimizer = torch.optim.RMSprop(model.parameters(), lr=learning_rate)
    history = {"train": [], "held_out": []}
    if x_held_out is not None:
        history["held_out"].append(mean_terms(model, x_held_out))

    if redraw is not None:
        x = redraw(x.to(device), noise)
    for _ in range(epochs):
        totals = {"loss": 0.0, "nll": 0.0, "kl": 0.0}
        for rows in torch.randperm(len(x), generator=order).split(batch_size):
            batch = x[rows].to(device)
            terms = bernoulli_terms(model, batch, noise)
            optimizer.zero_grad()
            terms["loss"].mean().backward()
            optimizer.step()
            for name in totals:
                totals[name] += terms[name].sum().item()
        history["train"].append({name: total / len(x) for name, total in totals.items()})
        if x_held_out is not None:
            history["held_out"].append(mean_terms(model, x_held_out))
    return history
''',
    ("ps3_fit", "held-out images are redrawn too"): '''
def fit(
    model: BernoulliVAE,
    x: Tensor,
    epochs: int,
    batch_size: int = 64,
    learning_rate: float = 1e-3,
    seed: int = 0,
    x_held_out: Tensor | None = None,
    redraw: Callable[[Tensor, torch.Generator], Tensor] | None = None,
) -> dict[str, list[dict[str, float]]]:
    device = next(model.parameters()).device
    order = torch.Generator().manual_seed(seed)
    noise = torch.Generator(device).manual_seed(seed)
    optimizer = torch.optim.RMSprop(model.parameters(), lr=learning_rate)
    history = {"train": [], "held_out": []}
    if x_held_out is not None:
        history["held_out"].append(mean_terms(model, x_held_out))

    for _ in range(epochs):
        totals = {"loss": 0.0, "nll": 0.0, "kl": 0.0}
        for rows in torch.randperm(len(x), generator=order).split(batch_size):
            batch = x[rows].to(device)
            if redraw is not None:
                batch = redraw(batch, noise)
            terms = bernoulli_terms(model, batch, noise)
            optimizer.zero_grad()
            terms["loss"].mean().backward()
            optimizer.step()
            for name in totals:
                totals[name] += terms[name].sum().item()
        history["train"].append({name: total / len(x) for name, total in totals.items()})
        if x_held_out is not None:
            watched = x_held_out.to(device)
            if redraw is not None:
                watched = redraw(watched, noise)
            history["held_out"].append(mean_terms(model, watched))
    return history
''',
    ("ps3_fit", "RMSprop with the decay that Keras has"): '''
def fit(
    model: BernoulliVAE,
    x: Tensor,
    epochs: int,
    batch_size: int = 64,
    learning_rate: float = 1e-3,
    seed: int = 0,
    x_held_out: Tensor | None = None,
    redraw: Callable[[Tensor, torch.Generator], Tensor] | None = None,
) -> dict[str, list[dict[str, float]]]:
    device = next(model.parameters()).device
    order = torch.Generator().manual_seed(seed)
    noise = torch.Generator(device).manual_seed(seed)
    optimizer = torch.optim.RMSprop(model.parameters(), lr=learning_rate, alpha=0.9)
    history = {"train": [], "held_out": []}
    if x_held_out is not None:
        history["held_out"].append(mean_terms(model, x_held_out))

    for _ in range(epochs):
        totals = {"loss": 0.0, "nll": 0.0, "kl": 0.0}
        for rows in torch.randperm(len(x), generator=order).split(batch_size):
            batch = x[rows].to(device)
            if redraw is not None:
                batch = redraw(batch, noise)
            terms = bernoulli_terms(model, batch, noise)
            optimizer.zero_grad()
            terms["loss"].mean().backward()
            optimizer.step()
            for name in totals:
                totals[name] += terms[name].sum().item()
        history["train"].append({name: total / len(x) for name, total in totals.items()})
        if x_held_out is not None:
            history["held_out"].append(mean_terms(model, x_held_out))
    return history
''',
    ("ps3_fit", "a last batch of one image is skipped"): '''
def fit(
    model: BernoulliVAE,
    x: Tensor,
    epochs: int,
    batch_size: int = 64,
    learning_rate: float = 1e-3,
    seed: int = 0,
    x_held_out: Tensor | None = None,
    redraw: Callable[[Tensor, torch.Generator], Tensor] | None = None,
) -> dict[str, list[dict[str, float]]]:
    device = next(model.parameters()).device
    order = torch.Generator().manual_seed(seed)
    noise = torch.Generator(device).manual_seed(seed)
    optimizer = torch.optim.RMSprop(model.parameters(), lr=learning_rate)
    history = {"train": [], "held_out": []}
    if x_held_out is not None:
        history["held_out"].append(mean_terms(model, x_held_out))

    for _ in range(epochs):
        totals = {"loss": 0.0, "nll": 0.0, "kl": 0.0}
        for rows in torch.randperm(len(x), generator=order).split(batch_size):
            if len(rows) < 2:
                continue
            batch = x[rows].to(device)
            if redraw is not None:
                batch = redraw(batch, noise)
            terms = bernoulli_terms(model, batch, noise)
            optimizer.zero_grad()
            terms["loss"].mean().backward()
            optimizer.step()
            for name in totals:
                totals[name] += terms[name].sum().item()
        history["train"].append({name: total / len(x) for name, total in totals.items()})
        if x_held_out is not None:
            history["held_out"].append(mean_terms(model, x_held_out))
    return history
''',
    ("ps3_fit", "tensors in the history"): '''
def fit(
    model: BernoulliVAE,
    x: Tensor,
    epochs: int,
    batch_size: int = 64,
    learning_rate: float = 1e-3,
    seed: int = 0,
    x_held_out: Tensor | None = None,
    redraw: Callable[[Tensor, torch.Generator], Tensor] | None = None,
) -> dict[str, list[dict[str, float]]]:
    device = next(model.parameters()).device
    order = torch.Generator().manual_seed(seed)
    noise = torch.Generator(device).manual_seed(seed)
    optimizer = torch.optim.RMSprop(model.parameters(), lr=learning_rate)
    history = {"train": [], "held_out": []}
    if x_held_out is not None:
        history["held_out"].append(mean_terms(model, x_held_out))

    for _ in range(epochs):
        totals = {"loss": 0.0, "nll": 0.0, "kl": 0.0}
        for rows in torch.randperm(len(x), generator=order).split(batch_size):
            batch = x[rows].to(device)
            if redraw is not None:
                batch = redraw(batch, noise)
            terms = bernoulli_terms(model, batch, noise)
            optimizer.zero_grad()
            terms["loss"].mean().backward()
            optimizer.step()
            for name in totals:
                totals[name] += terms[name].sum().detach()
        history["train"].append({name: total / len(x) for name, total in totals.items()})
        if x_held_out is not None:
            history["held_out"].append(mean_terms(model, x_held_out))
    return history
''',
    ("ps3_fit", "batches are shuffled, and the images in them never"): '''
def fit(
    model: BernoulliVAE,
    x: Tensor,
    epochs: int,
    batch_size: int = 64,
    learning_rate: float = 1e-3,
    seed: int = 0,
    x_held_out: Tensor | None = None,
    redraw: Callable[[Tensor, torch.Generator], Tensor] | None = None,
) -> dict[str, list[dict[str, float]]]:
    device = next(model.parameters()).device
    order = torch.Generator().manual_seed(seed)
    noise = torch.Generator(device).manual_seed(seed)
    optimizer = torch.optim.RMSprop(model.parameters(), lr=learning_rate)
    history = {"train": [], "held_out": []}
    if x_held_out is not None:
        history["held_out"].append(mean_terms(model, x_held_out))

    for _ in range(epochs):
        totals = {"loss": 0.0, "nll": 0.0, "kl": 0.0}
        batches = torch.arange(len(x)).split(batch_size)
        for i in torch.randperm(len(batches), generator=order).tolist():
            batch = x[batches[i]].to(device)
            if redraw is not None:
                batch = redraw(batch, noise)
            terms = bernoulli_terms(model, batch, noise)
            optimizer.zero_grad()
            terms["loss"].mean().backward()
            optimizer.step()
            for name in totals:
                totals[name] += terms[name].sum().item()
        history["train"].append({name: total / len(x) for name, total in totals.items()})
        if x_held_out is not None:
            history["held_out"].append(mean_terms(model, x_held_out))
    return history
''',
    ("ps3_fit", "the caller's images are still shuffled in place"): '''
def fit(
    model: BernoulliVAE,
    x: Tensor,
    epochs: int,
    batch_size: int = 64,
    learning_rate: float = 1e-3,
    seed: int = 0,
    x_held_out: Tensor | None = None,
    redraw: Callable[[Tensor, torch.Generator], Tensor] | None = None,
) -> dict[str, list[dict[str, float]]]:
    device = next(model.parameters()).device
    order = torch.Generator().manual_seed(seed)
    noise = torch.Generator(device).manual_seed(seed)
    optimizer = torch.optim.RMSprop(model.parameters(), lr=learning_rate)
    history = {"train": [], "held_out": []}
    if x_held_out is not None:
        history["held_out"].append(mean_terms(model, x_held_out))

    for _ in range(epochs):
        totals = {"loss": 0.0, "nll": 0.0, "kl": 0.0}
        x[:] = x[torch.randperm(len(x), generator=order)]
        for rows in torch.arange(len(x)).split(batch_size):
            batch = x[rows].to(device)
            if redraw is not None:
                batch = redraw(batch, noise)
            terms = bernoulli_terms(model, batch, noise)
            optimizer.zero_grad()
            terms["loss"].mean().backward()
            optimizer.step()
            for name in totals:
                totals[name] += terms[name].sum().item()
        history["train"].append({name: total / len(x) for name, total in totals.items()})
        if x_held_out is not None:
            history["held_out"].append(mean_terms(model, x_held_out))
    return history
''',
    ("ps3_fit", "a new optimizer in every epoch"): '''
def fit(
    model: BernoulliVAE,
    x: Tensor,
    epochs: int,
    batch_size: int = 64,
    learning_rate: float = 1e-3,
    seed: int = 0,
    x_held_out: Tensor | None = None,
    redraw: Callable[[Tensor, torch.Generator], Tensor] | None = None,
) -> dict[str, list[dict[str, float]]]:
    device = next(model.parameters()).device
    order = torch.Generator().manual_seed(seed)
    noise = torch.Generator(device).manual_seed(seed)
    history = {"train": [], "held_out": []}
    if x_held_out is not None:
        history["held_out"].append(mean_terms(model, x_held_out))

    for _ in range(epochs):
        optimizer = torch.optim.RMSprop(model.parameters(), lr=learning_rate)
        totals = {"loss": 0.0, "nll": 0.0, "kl": 0.0}
        for rows in torch.randperm(len(x), generator=order).split(batch_size):
            batch = x[rows].to(device)
            if redraw is not None:
                batch = redraw(batch, noise)
            terms = bernoulli_terms(model, batch, noise)
            optimizer.zero_grad()
            terms["loss"].mean().backward()
            optimizer.step()
            for name in totals:
                totals[name] += terms[name].sum().item()
        history["train"].append({name: total / len(x) for name, total in totals.items()})
        if x_held_out is not None:
            history["held_out"].append(mean_terms(model, x_held_out))
    return history
''',
    ("ps3_fit", "a mean of the batches' means"): '''
def fit(
    model: BernoulliVAE,
    x: Tensor,
    epochs: int,
    batch_size: int = 64,
    learning_rate: float = 1e-3,
    seed: int = 0,
    x_held_out: Tensor | None = None,
    redraw: Callable[[Tensor, torch.Generator], Tensor] | None = None,
) -> dict[str, list[dict[str, float]]]:
    device = next(model.parameters()).device
    order = torch.Generator().manual_seed(seed)
    noise = torch.Generator(device).manual_seed(seed)
    optimizer = torch.optim.RMSprop(model.parameters(), lr=learning_rate)
    history = {"train": [], "held_out": []}
    if x_held_out is not None:
        history["held_out"].append(mean_terms(model, x_held_out))

    for _ in range(epochs):
        totals = {"loss": 0.0, "nll": 0.0, "kl": 0.0}
        for rows in torch.randperm(len(x), generator=order).split(batch_size):
            batch = x[rows].to(device)
            if redraw is not None:
                batch = redraw(batch, noise)
            terms = bernoulli_terms(model, batch, noise)
            optimizer.zero_grad()
            terms["loss"].mean().backward()
            optimizer.step()
            for name in totals:
                totals[name] += terms[name].mean().item()
        steps = -(-len(x) // batch_size)
        history["train"].append({name: total / steps for name, total in totals.items()})
        if x_held_out is not None:
            history["held_out"].append(mean_terms(model, x_held_out))
    return history
''',
    ("ps3_fit", "one order for all epochs"): '''
def fit(
    model: BernoulliVAE,
    x: Tensor,
    epochs: int,
    batch_size: int = 64,
    learning_rate: float = 1e-3,
    seed: int = 0,
    x_held_out: Tensor | None = None,
    redraw: Callable[[Tensor, torch.Generator], Tensor] | None = None,
) -> dict[str, list[dict[str, float]]]:
    device = next(model.parameters()).device
    order = torch.Generator().manual_seed(seed)
    noise = torch.Generator(device).manual_seed(seed)
    optimizer = torch.optim.RMSprop(model.parameters(), lr=learning_rate)
    history = {"train": [], "held_out": []}
    if x_held_out is not None:
        history["held_out"].append(mean_terms(model, x_held_out))

    shuffled = torch.randperm(len(x), generator=order)
    for _ in range(epochs):
        totals = {"loss": 0.0, "nll": 0.0, "kl": 0.0}
        for rows in shuffled.split(batch_size):
            batch = x[rows].to(device)
            if redraw is not None:
                batch = redraw(batch, noise)
            terms = bernoulli_terms(model, batch, noise)
            optimizer.zero_grad()
            terms["loss"].mean().backward()
            optimizer.step()
            for name in totals:
                totals[name] += terms[name].sum().item()
        history["train"].append({name: total / len(x) for name, total in totals.items()})
        if x_held_out is not None:
            history["held_out"].append(mean_terms(model, x_held_out))
    return history
''',
    ("ps3_predictive", "without a generator, the same codes every time"): '''
def transform(model: BernoulliVAE, x: Tensor) -> Tensor:
    with torch.no_grad():
        return model.encode(x)[0]


def prior_predictive_given(
    model: BernoulliVAE, z: Tensor, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    with torch.no_grad():
        chances = torch.sigmoid(model.decode(z))
    return torch.bernoulli(chances, generator=generator), chances


def prior_predictive(
    model: BernoulliVAE, num_samples: int, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    device = next(model.parameters()).device
    if generator is None:
        generator = torch.Generator(device).manual_seed(0)
    z = torch.randn(num_samples, model.latent_dim, generator=generator, device=device)
    return prior_predictive_given(model, z, generator)


def posterior_predictive(
    model: BernoulliVAE, x: Tensor, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    with torch.no_grad():
        mu, std = model.encode(x)
    noise = torch.randn(mu.shape, generator=generator, device=mu.device)
    return prior_predictive_given(model, mu + std * noise, generator)
''',
    ("ps3_predictive", "squeeze: a single new image loses its dimension"): '''
def transform(model: BernoulliVAE, x: Tensor) -> Tensor:
    with torch.no_grad():
        return model.encode(x)[0]


def prior_predictive_given(
    model: BernoulliVAE, z: Tensor, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    with torch.no_grad():
        chances = torch.sigmoid(model.decode(z))
    return torch.bernoulli(chances, generator=generator), chances


def prior_predictive(
    model: BernoulliVAE, num_samples: int, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    device = next(model.parameters()).device
    z = torch.randn(num_samples, model.latent_dim, generator=generator, device=device)
    samples, chances = prior_predictive_given(model, z, generator)
    return samples.squeeze(), chances.squeeze()


def posterior_predictive(
    model: BernoulliVAE, x: Tensor, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    with torch.no_grad():
        mu, std = model.encode(x)
    noise = torch.randn(mu.shape, generator=generator, device=mu.device)
    return prior_predictive_given(model, mu + std * noise, generator)
''',
    ("ps3_predictive", "gradients are switched off for good"): '''
def transform(model: BernoulliVAE, x: Tensor) -> Tensor:
    torch.set_grad_enabled(False)
    return model.encode(x)[0]


def prior_predictive_given(
    model: BernoulliVAE, z: Tensor, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    with torch.no_grad():
        chances = torch.sigmoid(model.decode(z))
    return torch.bernoulli(chances, generator=generator), chances


def prior_predictive(
    model: BernoulliVAE, num_samples: int, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    device = next(model.parameters()).device
    z = torch.randn(num_samples, model.latent_dim, generator=generator, device=device)
    return prior_predictive_given(model, z, generator)


def posterior_predictive(
    model: BernoulliVAE, x: Tensor, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    with torch.no_grad():
        mu, std = model.encode(x)
    noise = torch.randn(mu.shape, generator=generator, device=mu.device)
    return prior_predictive_given(model, mu + std * noise, generator)
''',
    ("ps3_predictive", "the noise is multiplied by the variance"): '''
def transform(model: BernoulliVAE, x: Tensor) -> Tensor:
    with torch.no_grad():
        return model.encode(x)[0]


def prior_predictive_given(
    model: BernoulliVAE, z: Tensor, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    with torch.no_grad():
        chances = torch.sigmoid(model.decode(z))
    return torch.bernoulli(chances, generator=generator), chances


def prior_predictive(
    model: BernoulliVAE, num_samples: int, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    device = next(model.parameters()).device
    z = torch.randn(num_samples, model.latent_dim, generator=generator, device=device)
    return prior_predictive_given(model, z, generator)


def posterior_predictive(
    model: BernoulliVAE, x: Tensor, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    with torch.no_grad():
        mu, std = model.encode(x)
    noise = torch.randn(mu.shape, generator=generator, device=mu.device)
    return prior_predictive_given(model, mu + std**2 * noise, generator)
''',
    ("ps3_predictive", "all images share one noise"): '''
def transform(model: BernoulliVAE, x: Tensor) -> Tensor:
    with torch.no_grad():
        return model.encode(x)[0]


def prior_predictive_given(
    model: BernoulliVAE, z: Tensor, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    with torch.no_grad():
        chances = torch.sigmoid(model.decode(z))
    return torch.bernoulli(chances, generator=generator), chances


def prior_predictive(
    model: BernoulliVAE, num_samples: int, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    device = next(model.parameters()).device
    z = torch.randn(num_samples, model.latent_dim, generator=generator, device=device)
    return prior_predictive_given(model, z, generator)


def posterior_predictive(
    model: BernoulliVAE, x: Tensor, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    with torch.no_grad():
        mu, std = model.encode(x)
    noise = torch.randn(mu.shape[-1:], generator=generator, device=mu.device)
    return prior_predictive_given(model, mu + std * noise, generator)
''',
    ("ps3_predictive", "one toss for all pixels of an image"): '''
def transform(model: BernoulliVAE, x: Tensor) -> Tensor:
    with torch.no_grad():
        return model.encode(x)[0]


def prior_predictive_given(
    model: BernoulliVAE, z: Tensor, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    with torch.no_grad():
        chances = torch.sigmoid(model.decode(z))
    toss = torch.rand(len(z), 1, generator=generator, device=z.device)
    return (toss < chances).to(chances.dtype), chances


def prior_predictive(
    model: BernoulliVAE, num_samples: int, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    device = next(model.parameters()).device
    z = torch.randn(num_samples, model.latent_dim, generator=generator, device=device)
    return prior_predictive_given(model, z, generator)


def posterior_predictive(
    model: BernoulliVAE, x: Tensor, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    with torch.no_grad():
        mu, std = model.encode(x)
    noise = torch.randn(mu.shape, generator=generator, device=mu.device)
    return prior_predictive_given(model, mu + std * noise, generator)
''',
    ("ps3_predictive", "codes of the prior are cut at two"): '''
def transform(model: BernoulliVAE, x: Tensor) -> Tensor:
    with torch.no_grad():
        return model.encode(x)[0]


def prior_predictive_given(
    model: BernoulliVAE, z: Tensor, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    with torch.no_grad():
        chances = torch.sigmoid(model.decode(z))
    return torch.bernoulli(chances, generator=generator), chances


def prior_predictive(
    model: BernoulliVAE, num_samples: int, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    device = next(model.parameters()).device
    z = torch.randn(num_samples, model.latent_dim, generator=generator, device=device)
    return prior_predictive_given(model, z.clamp(-2, 2), generator)


def posterior_predictive(
    model: BernoulliVAE, x: Tensor, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    with torch.no_grad():
        mu, std = model.encode(x)
    noise = torch.randn(mu.shape, generator=generator, device=mu.device)
    return prior_predictive_given(model, mu + std * noise, generator)
''',
    ("ps3_predictive", "shaped like the images that came in"): '''
def transform(model: BernoulliVAE, x: Tensor) -> Tensor:
    with torch.no_grad():
        return model.encode(x)[0]


def prior_predictive_given(
    model: BernoulliVAE, z: Tensor, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    with torch.no_grad():
        chances = torch.sigmoid(model.decode(z))
    return torch.bernoulli(chances, generator=generator), chances


def prior_predictive(
    model: BernoulliVAE, num_samples: int, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    device = next(model.parameters()).device
    z = torch.randn(num_samples, model.latent_dim, generator=generator, device=device)
    return prior_predictive_given(model, z, generator)


def posterior_predictive(
    model: BernoulliVAE, x: Tensor, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    with torch.no_grad():
        mu, std = model.encode(x)
    noise = torch.randn(mu.shape, generator=generator, device=mu.device)
    samples, chances = prior_predictive_given(model, mu + std * noise, generator)
    return samples.view_as(x), chances.view_as(x)
''',
    ("ps3_predictive", "codes are made on the CPU"): '''
def transform(model: BernoulliVAE, x: Tensor) -> Tensor:
    with torch.no_grad():
        return model.encode(x)[0]


def prior_predictive_given(
    model: BernoulliVAE, z: Tensor, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    with torch.no_grad():
        chances = torch.sigmoid(model.decode(z))
    return torch.bernoulli(chances, generator=generator), chances


def prior_predictive(
    model: BernoulliVAE, num_samples: int, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    z = torch.randn(num_samples, model.latent_dim, generator=generator)
    return prior_predictive_given(model, z, generator)


def posterior_predictive(
    model: BernoulliVAE, x: Tensor, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    with torch.no_grad():
        mu, std = model.encode(x)
    noise = torch.randn(mu.shape, generator=generator, device=mu.device)
    return prior_predictive_given(model, mu + std * noise, generator)
''',
    ("ps3_predictive", "a threshold of one half"): '''
def transform(model: BernoulliVAE, x: Tensor) -> Tensor:
    with torch.no_grad():
        return model.encode(x)[0]


def prior_predictive_given(
    model: BernoulliVAE, z: Tensor, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    with torch.no_grad():
        chances = torch.sigmoid(model.decode(z))
    return (chances > 0.5).to(chances.dtype), chances


def prior_predictive(
    model: BernoulliVAE, num_samples: int, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    device = next(model.parameters()).device
    z = torch.randn(num_samples, model.latent_dim, generator=generator, device=device)
    return prior_predictive_given(model, z, generator)


def posterior_predictive(
    model: BernoulliVAE, x: Tensor, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    with torch.no_grad():
        mu, std = model.encode(x)
    noise = torch.randn(mu.shape, generator=generator, device=mu.device)
    return prior_predictive_given(model, mu + std * noise, generator)
''',
    ("ps3_predictive", "samples and probabilities from two passes"): '''
def transform(model: BernoulliVAE, x: Tensor) -> Tensor:
    with torch.no_grad():
        return model.encode(x)[0]


def prior_predictive_given(
    model: BernoulliVAE, z: Tensor, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    with torch.no_grad():
        chances = torch.sigmoid(model.decode(z))
    return torch.bernoulli(chances, generator=generator), chances


def prior_predictive(
    model: BernoulliVAE, num_samples: int, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    device = next(model.parameters()).device
    z = torch.randn(num_samples, model.latent_dim, generator=generator, device=device)
    return prior_predictive_given(model, z, generator)


def posterior_predictive(
    model: BernoulliVAE, x: Tensor, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    with torch.no_grad():
        chances = torch.sigmoid(model(x, generator)[0])
        others = torch.sigmoid(model(x, generator)[0])
    return torch.bernoulli(others, generator=generator), chances
''',
    ("ps3_log_mean_exp", "the largest is subtracted in place"): '''
def log_mean_exp(values: Tensor, dim: int) -> Tensor:
    largest = values.amax(dim, keepdim=True)
    values -= largest
    return largest.squeeze(dim) + values.exp().mean(dim).log()
''',
    ("ps3_log_mean_exp", "transpose, which turns the other dimensions round"): '''
def log_mean_exp(values: Tensor, dim: int) -> Tensor:
    rows = values.transpose(0, dim)
    return torch.logsumexp(rows, 0) - math.log(len(rows))
''',
    ("ps3_log_mean_exp", "squeeze of all dimensions of size one"): '''
def log_mean_exp(values: Tensor, dim: int) -> Tensor:
    largest = values.amax(dim, keepdim=True)
    mean = torch.exp(values - largest).mean(dim, keepdim=True)
    return (largest + mean.log()).squeeze()
''',
    ("ps3_log_mean_exp", "the smallest is pulled out, and the others overflow"): '''
def log_mean_exp(values: Tensor, dim: int) -> Tensor:
    smallest = values.amin(dim, keepdim=True)
    return smallest.squeeze(dim) + torch.exp(values - smallest).mean(dim).log()
''',
    ("ps3_log_mean_exp", "K is always the size of the last dimension"): '''
def log_mean_exp(values: Tensor, dim: int) -> Tensor:
    return torch.logsumexp(values, dim) - math.log(values.shape[-1])
''',
    ("ps3_log_mean_exp", "shifted only if negative: large values overflow"): '''
def log_mean_exp(values: Tensor, dim: int) -> Tensor:
    shift = values.amax(dim, keepdim=True).clamp(max=0)
    return shift.squeeze(dim) + torch.exp(values - shift).mean(dim).log()
''',
    ("ps3_log_mean_exp", "a running sum that begins at -10,000 and not at -inf"): '''
def log_mean_exp(values: Tensor, dim: int) -> Tensor:
    total = torch.full_like(values.select(dim, 0), -10_000.0)
    for part in values.unbind(dim):
        total = torch.logaddexp(total, part)
    return total - math.log(values.shape[dim])
''',
    ("ps3_log_mean_exp", "one maximum for the whole tensor"): '''
def log_mean_exp(values: Tensor, dim: int) -> Tensor:
    largest = values.max()
    return largest + torch.exp(values - largest).mean(dim).log()
''',
    ("ps3_log_mean_exp", "the sum is not divided by K"): '''
def log_mean_exp(values: Tensor, dim: int) -> Tensor:
    return torch.logsumexp(values, dim)
''',
    ("ps3_log_mean_exp", "divided by the size of the first dimension"): '''
def log_mean_exp(values: Tensor, dim: int) -> Tensor:
    return torch.logsumexp(values, dim) - math.log(len(values))
''',
    ("ps3_log_mean_exp", "double precision, and hope"): '''
def log_mean_exp(values: Tensor, dim: int) -> Tensor:
    return values.double().exp().mean(dim).log().to(values.dtype)
''',
    ("ps3_bound", "half of the noise is the other half with its sign turned"): '''
def log_importance_weights(
    model: BernoulliVAE, x: Tensor, num_samples: int, generator: torch.Generator | None = None
) -> Tensor:
    x = x.flatten(1)
    mu, std = model.encode(x)
    half = (num_samples + 1) // 2
    noise = torch.randn(half, *mu.shape, generator=generator, device=mu.device)
    noise = torch.cat([noise, -noise])[:num_samples]
    z = mu + std * noise
    logits = model.decode(z.flatten(0, 1))
    pixels = x.expand(num_samples, *x.shape).flatten(0, 1)
    log_px = bernoulli_log_likelihood(pixels, logits).view(num_samples, len(x))
    log_pz = Normal(0.0, 1.0).log_prob(z).sum(-1)
    log_qz = Normal(mu, std).log_prob(z).sum(-1)
    return log_px + log_pz - log_qz


def importance_weighted_bound(log_weights: Tensor) -> Tensor:
    return log_mean_exp(log_weights, 0)
''',
    ("ps3_bound", "squeeze: one weight or one image loses a dimension"): '''
def log_importance_weights(
    model: BernoulliVAE, x: Tensor, num_samples: int, generator: torch.Generator | None = None
) -> Tensor:
    x = x.flatten(1)
    mu, std = model.encode(x)
    noise = torch.randn(num_samples, *mu.shape, generator=generator, device=mu.device)
    z = mu + std * noise
    logits = model.decode(z.flatten(0, 1))
    pixels = x.expand(num_samples, *x.shape).flatten(0, 1)
    log_px = bernoulli_log_likelihood(pixels, logits).view(num_samples, len(x))
    log_pz = Normal(0.0, 1.0).log_prob(z).sum(-1)
    log_qz = Normal(mu, std).log_prob(z).sum(-1)
    return (log_px + log_pz - log_qz).squeeze()


def importance_weighted_bound(log_weights: Tensor) -> Tensor:
    return log_mean_exp(log_weights, 0)
''',
    ("ps3_bound", "the bound leaves the logarithms"): '''
def log_importance_weights(
    model: BernoulliVAE, x: Tensor, num_samples: int, generator: torch.Generator | None = None
) -> Tensor:
    x = x.flatten(1)
    mu, std = model.encode(x)
    noise = torch.randn(num_samples, *mu.shape, generator=generator, device=mu.device)
    z = mu + std * noise
    logits = model.decode(z.flatten(0, 1))
    pixels = x.expand(num_samples, *x.shape).flatten(0, 1)
    log_px = bernoulli_log_likelihood(pixels, logits).view(num_samples, len(x))
    log_pz = Normal(0.0, 1.0).log_prob(z).sum(-1)
    log_qz = Normal(mu, std).log_prob(z).sum(-1)
    return log_px + log_pz - log_qz


def importance_weighted_bound(log_weights: Tensor) -> Tensor:
    return log_weights.exp().mean(0).log()
''',
    ("ps3_bound", "without a generator, the same z every time"): '''
def log_importance_weights(
    model: BernoulliVAE, x: Tensor, num_samples: int, generator: torch.Generator | None = None
) -> Tensor:
    x = x.flatten(1)
    mu, std = model.encode(x)
    if generator is None:
        generator = torch.Generator(x.device).manual_seed(0)
    noise = torch.randn(num_samples, *mu.shape, generator=generator, device=mu.device)
    z = mu + std * noise
    logits = model.decode(z.flatten(0, 1))
    pixels = x.expand(num_samples, *x.shape).flatten(0, 1)
    log_px = bernoulli_log_likelihood(pixels, logits).view(num_samples, len(x))
    log_pz = Normal(0.0, 1.0).log_prob(z).sum(-1)
    log_qz = Normal(mu, std).log_prob(z).sum(-1)
    return log_px + log_pz - log_qz


def importance_weighted_bound(log_weights: Tensor) -> Tensor:
    return log_mean_exp(log_weights, 0)
''',
    ("ps3_bound", "no bound above zero"): '''
def log_importance_weights(
    model: BernoulliVAE, x: Tensor, num_samples: int, generator: torch.Generator | None = None
) -> Tensor:
    x = x.flatten(1)
    mu, std = model.encode(x)
    noise = torch.randn(num_samples, *mu.shape, generator=generator, device=mu.device)
    z = mu + std * noise
    logits = model.decode(z.flatten(0, 1))
    pixels = x.expand(num_samples, *x.shape).flatten(0, 1)
    log_px = bernoulli_log_likelihood(pixels, logits).view(num_samples, len(x))
    log_pz = Normal(0.0, 1.0).log_prob(z).sum(-1)
    log_qz = Normal(mu, std).log_prob(z).sum(-1)
    return log_px + log_pz - log_qz


def importance_weighted_bound(log_weights: Tensor) -> Tensor:
    return log_mean_exp(log_weights, 0).clamp(max=0)
''',
    ("ps3_bound", "weights are cut off at -100"): '''
def log_importance_weights(
    model: BernoulliVAE, x: Tensor, num_samples: int, generator: torch.Generator | None = None
) -> Tensor:
    x = x.flatten(1)
    mu, std = model.encode(x)
    noise = torch.randn(num_samples, *mu.shape, generator=generator, device=mu.device)
    z = mu + std * noise
    logits = model.decode(z.flatten(0, 1))
    pixels = x.expand(num_samples, *x.shape).flatten(0, 1)
    log_px = bernoulli_log_likelihood(pixels, logits).view(num_samples, len(x))
    log_pz = Normal(0.0, 1.0).log_prob(z).sum(-1)
    log_qz = Normal(mu, std).log_prob(z).sum(-1)
    return (log_px + log_pz - log_qz).clamp(min=-100)


def importance_weighted_bound(log_weights: Tensor) -> Tensor:
    return log_mean_exp(log_weights, 0)
''',
    ("ps3_bound", "all images share their noise"): '''
def log_importance_weights(
    model: BernoulliVAE, x: Tensor, num_samples: int, generator: torch.Generator | None = None
) -> Tensor:
    x = x.flatten(1)
    mu, std = model.encode(x)
    noise = torch.randn(num_samples, 1, mu.shape[1], generator=generator, device=mu.device)
    z = mu + std * noise
    logits = model.decode(z.flatten(0, 1))
    pixels = x.expand(num_samples, *x.shape).flatten(0, 1)
    log_px = bernoulli_log_likelihood(pixels, logits).view(num_samples, len(x))
    log_pz = Normal(0.0, 1.0).log_prob(z).sum(-1)
    log_qz = Normal(mu, std).log_prob(z).sum(-1)
    return log_px + log_pz - log_qz


def importance_weighted_bound(log_weights: Tensor) -> Tensor:
    return log_mean_exp(log_weights, 0)
''',
    ("ps3_bound", "images are repeated in the other order"): '''
def log_importance_weights(
    model: BernoulliVAE, x: Tensor, num_samples: int, generator: torch.Generator | None = None
) -> Tensor:
    x = x.flatten(1)
    mu, std = model.encode(x)
    noise = torch.randn(num_samples, *mu.shape, generator=generator, device=mu.device)
    z = mu + std * noise
    logits = model.decode(z.flatten(0, 1))
    pixels = x.repeat_interleave(num_samples, dim=0)
    log_px = bernoulli_log_likelihood(pixels, logits).view(num_samples, len(x))
    log_pz = Normal(0.0, 1.0).log_prob(z).sum(-1)
    log_qz = Normal(mu, std).log_prob(z).sum(-1)
    return log_px + log_pz - log_qz


def importance_weighted_bound(log_weights: Tensor) -> Tensor:
    return log_mean_exp(log_weights, 0)
''',
    ("ps3_bound", "the KL in closed form"): '''
def log_importance_weights(
    model: BernoulliVAE, x: Tensor, num_samples: int, generator: torch.Generator | None = None
) -> Tensor:
    x = x.flatten(1)
    mu, std = model.encode(x)
    noise = torch.randn(num_samples, *mu.shape, generator=generator, device=mu.device)
    z = mu + std * noise
    logits = model.decode(z.flatten(0, 1))
    pixels = x.expand(num_samples, *x.shape).flatten(0, 1)
    log_px = bernoulli_log_likelihood(pixels, logits).view(num_samples, len(x))
    return log_px - gaussian_kl_from_std(mu, std)


def importance_weighted_bound(log_weights: Tensor) -> Tensor:
    return log_mean_exp(log_weights, 0)
''',
    ("ps3_bound", "the proposal's density with std squared"): '''
def log_importance_weights(
    model: BernoulliVAE, x: Tensor, num_samples: int, generator: torch.Generator | None = None
) -> Tensor:
    x = x.flatten(1)
    mu, std = model.encode(x)
    noise = torch.randn(num_samples, *mu.shape, generator=generator, device=mu.device)
    z = mu + std * noise
    logits = model.decode(z.flatten(0, 1))
    pixels = x.expand(num_samples, *x.shape).flatten(0, 1)
    log_px = bernoulli_log_likelihood(pixels, logits).view(num_samples, len(x))
    log_pz = Normal(0.0, 1.0).log_prob(z).sum(-1)
    log_qz = Normal(mu, std**2).log_prob(z).sum(-1)
    return log_px + log_pz - log_qz


def importance_weighted_bound(log_weights: Tensor) -> Tensor:
    return log_mean_exp(log_weights, 0)
''',
    ("ps3_bound", "a mean of the logarithms"): '''
def log_importance_weights(
    model: BernoulliVAE, x: Tensor, num_samples: int, generator: torch.Generator | None = None
) -> Tensor:
    x = x.flatten(1)
    mu, std = model.encode(x)
    noise = torch.randn(num_samples, *mu.shape, generator=generator, device=mu.device)
    z = mu + std * noise
    logits = model.decode(z.flatten(0, 1))
    pixels = x.expand(num_samples, *x.shape).flatten(0, 1)
    log_px = bernoulli_log_likelihood(pixels, logits).view(num_samples, len(x))
    log_pz = Normal(0.0, 1.0).log_prob(z).sum(-1)
    log_qz = Normal(mu, std).log_prob(z).sum(-1)
    return log_px + log_pz - log_qz


def importance_weighted_bound(log_weights: Tensor) -> Tensor:
    return log_weights.mean(0)
''',
    ("ps3_bound", "portions of 1,000: what is left over is never drawn"): '''
def log_importance_weights(
    model: BernoulliVAE, x: Tensor, num_samples: int, generator: torch.Generator | None = None
) -> Tensor:
    x = x.flatten(1)
    mu, std = model.encode(x)
    portion, parts = min(num_samples, 1000), []
    for _ in range(num_samples // portion):
        z = mu + std * torch.randn(portion, *mu.shape, generator=generator, device=x.device)
        logits = model.decode(z.flatten(0, 1))
        log_px = bernoulli_log_likelihood(x.repeat(portion, 1), logits).view(portion, -1)
        log_ratio = Normal(0.0, 1.0).log_prob(z) - Normal(mu, std).log_prob(z)
        parts.append(log_px + log_ratio.sum(-1))
    return torch.cat(parts)


def importance_weighted_bound(log_weights: Tensor) -> Tensor:
    return log_mean_exp(log_weights, 0)
''',
}

RIGHT = {
    ("ps3_binarize", "where, and uniform noise"): '''
def binarize(x: Tensor, threshold: float = 0.5) -> Tensor:
    return torch.where(x > threshold, torch.ones_like(x), torch.zeros_like(x))


def binarize_randomly(x: Tensor, generator: torch.Generator | None = None) -> Tensor:
    noise = torch.rand(x.shape, generator=generator, device=x.device)
    return torch.lt(noise, x).type_as(x)
''',
    ("ps3_binarize", "one minus the black ones, and bernoulli_ on a fresh tensor"): '''
def binarize(x: Tensor, threshold: float = 0.5) -> Tensor:
    return 1 - torch.le(x, threshold).to(x.dtype)


def binarize_randomly(x: Tensor, generator: torch.Generator | None = None) -> Tensor:
    drawn = torch.zeros(x.shape, dtype=x.dtype, device=x.device)
    return drawn.bernoulli_(x, generator=generator)
''',
    ("ps3_binarize", "a choice between two classes by multinomial"): '''
def binarize(x: Tensor, threshold: float = 0.5) -> Tensor:
    return (x > threshold).to(x.dtype)


def binarize_randomly(x: Tensor, generator: torch.Generator | None = None) -> Tensor:
    chances = torch.stack([1 - x, x], dim=-1).reshape(-1, 2)
    chosen = torch.multinomial(chances, 1, generator=generator)
    return chosen.reshape(x.shape).to(x.dtype)
''',
    ("ps3_mlp", "kaiming_normal_ as it stands, by apply, on a network made with add_module"): '''
def make_mlp(sizes: Sequence[int]) -> nn.Sequential:
    def start(module):
        if isinstance(module, nn.Linear):
            nn.init.kaiming_normal_(module.weight)
            module.bias.data.zero_()

    network = nn.Sequential()
    for i in range(1, len(sizes)):
        if i > 1:
            network.add_module(f"relu{i - 1}", nn.ReLU())
        network.add_module(f"linear{i}", nn.Linear(sizes[i - 1], sizes[i]))
    return network.apply(start)
''',
    ("ps3_mlp", "scaled randn as new parameters, the last ReLU taken off again"): '''
def make_mlp(sizes: Sequence[int]) -> nn.Sequential:
    layers = []
    for i, width in enumerate(sizes[1:]):
        linear = nn.Linear(sizes[i], width)
        linear.weight = nn.Parameter(torch.randn(width, sizes[i]) * (2 / sizes[i]) ** 0.5)
        linear.bias = nn.Parameter(torch.zeros(width))
        layers.extend((linear, nn.ReLU()))
    layers.pop()
    return nn.Sequential(*layers)
''',
    ("ps3_log_likelihood", "two logsigmoids"): '''
def bernoulli_log_likelihood(x: Tensor, logits: Tensor) -> Tensor:
    pixels, rows = x.reshape(len(x), -1), logits.reshape(len(x), -1)
    return (pixels * F.logsigmoid(rows) + (1 - pixels) * F.logsigmoid(-rows)).sum(1)
''',
    ("ps3_log_likelihood", "logaddexp with zero, image by image"): '''
def bernoulli_log_likelihood(x: Tensor, logits: Tensor) -> Tensor:
    each = x * logits - torch.logaddexp(logits, torch.zeros_like(logits))
    return torch.stack([pixels.sum() for pixels in each])
''',
    ("ps3_log_likelihood", "a Bernoulli distribution, made independent over the pixels"): '''
def bernoulli_log_likelihood(x: Tensor, logits: Tensor) -> Tensor:
    coins = torch.distributions.Bernoulli(logits=logits, validate_args=False)
    return torch.distributions.Independent(coins, logits.ndim - 1).log_prob(x)
''',
    ("ps3_log_likelihood", "the sign trick, for pixels are 0 or 1"): '''
def bernoulli_log_likelihood(x: Tensor, logits: Tensor) -> Tensor:
    return F.logsigmoid((2 * x - 1) * logits).flatten(1).sum(-1)
''',
    ("ps3_kl", "PyTorch's kl_divergence"): '''
def gaussian_kl_from_std(mu: Tensor, std: Tensor) -> Tensor:
    prior = Normal(torch.zeros_like(mu), torch.ones_like(std))
    return torch.distributions.kl_divergence(Normal(mu, std), prior).sum(dim=-1)
''',
    ("ps3_kl", "expm1 of the log variance"): '''
def gaussian_kl_from_std(mu: Tensor, std: Tensor) -> Tensor:
    log_std = std.log()
    return torch.sum(0.5 * (mu * mu + torch.expm1(2 * log_std)) - log_std, dim=-1)
''',
    ("ps3_kl", "dimension by dimension"): '''
def gaussian_kl_from_std(mu: Tensor, std: Tensor) -> Tensor:
    total = 0
    for m, s in zip(mu.unbind(-1), std.unbind(-1)):
        total = total + (m.pow(2) + (s - 1) * (s + 1)) / 2 - torch.log(s)
    return total
''',
    ("ps3_model", "means and deviations take turns, noise by normal_, addcmul"): '''
class BernoulliVAE(nn.Module):
    def __init__(
        self, num_pixels: int = 784, hidden_sizes: Sequence[int] = (200,), latent_dim: int = 100
    ) -> None:
        super().__init__()
        self.num_pixels, self.latent_dim = num_pixels, latent_dim
        self.encoder = make_mlp((num_pixels, *hidden_sizes, 2 * latent_dim))
        self.decoder = make_mlp((latent_dim, *reversed(hidden_sizes), num_pixels))

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        out = self.encoder(x.reshape(len(x), self.num_pixels))
        raw = out[:, 1::2]
        return out[:, 0::2], torch.logaddexp(raw, torch.zeros_like(raw)) + 1e-6

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z)

    def forward(
        self, x: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        mu, std = self.encode(x)
        noise = torch.empty(mu.shape, device=mu.device).normal_(generator=generator)
        return self.decode(torch.addcmul(mu, std, noise)), mu, std
''',
    ("ps3_model", "a common trunk with two heads"): '''
class BernoulliVAE(nn.Module):
    def __init__(
        self, num_pixels: int = 784, hidden_sizes: Sequence[int] = (200,), latent_dim: int = 100
    ) -> None:
        super().__init__()
        self.num_pixels, self.latent_dim = num_pixels, latent_dim
        widths = (num_pixels, *hidden_sizes)
        hidden = [make_mlp(widths), nn.ReLU()] if len(widths) > 1 else []
        self.trunk = nn.Sequential(nn.Flatten(), *hidden)
        self.to_mu = make_mlp((widths[-1], latent_dim))
        self.to_raw = make_mlp((widths[-1], latent_dim))
        self.decoder = make_mlp((latent_dim, *reversed(hidden_sizes), num_pixels))

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = self.trunk(x)
        return self.to_mu(h), nn.Softplus()(self.to_raw(h)) + 0.000001

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z)

    def forward(
        self, x: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        mu, std = self.encode(x)
        noise = torch.randn(mu.shape, generator=generator, device=mu.device)
        return self.decode(mu + std * noise), mu, std
''',
    ("ps3_terms", "PyTorch's distributions"): '''
def bernoulli_terms(
    model: BernoulliVAE, x: Tensor, generator: torch.Generator | None = None
) -> dict[str, Tensor]:
    D = torch.distributions
    logits, mu, std = model(x, generator=generator)
    pixels = D.Bernoulli(logits=logits, validate_args=False)
    log_px = pixels.log_prob(x.reshape(logits.shape)).sum(dim=-1)
    kl = D.kl_divergence(D.Normal(mu, std), D.Normal(torch.zeros_like(mu), 1.0)).sum(dim=-1)
    elbo = log_px - kl
    return dict(loss=-elbo, nll=-log_px, kl=kl)
''',
    ("ps3_terms", "image by image after one pass"): '''
def bernoulli_terms(
    model: BernoulliVAE, x: Tensor, generator: torch.Generator | None = None
) -> dict[str, Tensor]:
    parts = {"loss": [], "nll": [], "kl": []}
    for image, *row in zip(x, *model(x, generator)):
        logits, mu, std = (part.unsqueeze(0) for part in row)
        parts["nll"].append(-bernoulli_log_likelihood(image.reshape(1, -1), logits)[0])
        parts["kl"].append(gaussian_kl_from_std(mu, std)[0])
        parts["loss"].append(parts["kl"][-1] + parts["nll"][-1])
    return {name: torch.stack(values) for name, values in parts.items()}
''',
    ("ps3_fit", "samplers of torch.utils.data"): '''
def fit(
    model: BernoulliVAE,
    x: Tensor,
    epochs: int,
    batch_size: int = 64,
    learning_rate: float = 1e-3,
    seed: int = 0,
    x_held_out: Tensor | None = None,
    redraw: Callable[[Tensor, torch.Generator], Tensor] | None = None,
) -> dict[str, list[dict[str, float]]]:
    device = next(model.parameters()).device
    order = torch.Generator().manual_seed(seed)
    noise = torch.Generator(device).manual_seed(seed)
    optimizer = torch.optim.RMSprop(model.parameters(), lr=learning_rate)
    history = {"train": [], "held_out": []}
    if x_held_out is not None:
        history["held_out"].append(mean_terms(model, x_held_out))

    data = torch.utils.data
    shuffled = data.RandomSampler(range(len(x)), generator=order)
    for _ in range(epochs):
        totals = {"loss": 0.0, "nll": 0.0, "kl": 0.0}
        for rows in data.BatchSampler(shuffled, batch_size, drop_last=False):
            batch = x[rows].to(device)
            if redraw is not None:
                batch = redraw(batch, noise)
            terms = bernoulli_terms(model, batch, noise)
            optimizer.zero_grad()
            terms["loss"].mean().backward()
            optimizer.step()
            for name in totals:
                totals[name] += terms[name].sum().item()
        history["train"].append({name: total / len(x) for name, total in totals.items()})
        if x_held_out is not None:
            history["held_out"].append(mean_terms(model, x_held_out))
    return history
''',
    ("ps3_fit", "the bound is maximised, orders by argsort"): '''
def fit(
    model: BernoulliVAE,
    x: Tensor,
    epochs: int,
    batch_size: int = 64,
    learning_rate: float = 1e-3,
    seed: int = 0,
    x_held_out: Tensor | None = None,
    redraw: Callable[[Tensor, torch.Generator], Tensor] | None = None,
) -> dict[str, list[dict[str, float]]]:
    device = next(model.parameters()).device
    order = torch.Generator().manual_seed(seed)
    noise = torch.Generator(device).manual_seed(seed)
    optimizer = torch.optim.RMSprop(model.parameters(), lr=learning_rate, maximize=True)
    history = {"train": [], "held_out": []}
    if x_held_out is not None:
        history["held_out"].append(mean_terms(model, x_held_out))

    for _ in range(epochs):
        totals = {"loss": 0.0, "nll": 0.0, "kl": 0.0}
        rank = torch.rand(len(x), generator=order).argsort()
        for start in range(0, len(x), batch_size):
            rows = rank[start : start + batch_size]
            batch = x[rows].to(device)
            if redraw is not None:
                batch = redraw(batch, noise)
            terms = bernoulli_terms(model, batch, noise)
            optimizer.zero_grad()
            elbo = -terms["loss"].sum() / len(batch)
            elbo.backward()
            optimizer.step()
            for name in totals:
                totals[name] += terms[name].sum().item()
        history["train"].append({name: total / len(x) for name, total in totals.items()})
        if x_held_out is not None:
            history["held_out"].append(mean_terms(model, x_held_out))
    return history
''',
    ("ps3_fit", "a shuffled copy, and all of an epoch's numbers kept to its end"): '''
def fit(
    model: BernoulliVAE,
    x: Tensor,
    epochs: int,
    batch_size: int = 64,
    learning_rate: float = 1e-3,
    seed: int = 0,
    x_held_out: Tensor | None = None,
    redraw: Callable[[Tensor, torch.Generator], Tensor] | None = None,
) -> dict[str, list[dict[str, float]]]:
    device = next(model.parameters()).device
    order = torch.Generator().manual_seed(seed)
    noise = torch.Generator(device).manual_seed(seed)
    optimizer = torch.optim.RMSprop(model.parameters(), lr=learning_rate)
    history = {"train": [], "held_out": []}
    if x_held_out is not None:
        history["held_out"].append(mean_terms(model, x_held_out))

    for _ in range(epochs):
        totals = {"loss": 0.0, "nll": 0.0, "kl": 0.0}
        x = x.index_select(0, torch.randperm(len(x), generator=order).to(x.device))
        kept = []
        for part in x.split(batch_size):
            batch = part.clone().to(device)
            if redraw is not None:
                batch = redraw(batch, noise)
            terms = bernoulli_terms(model, batch, noise)
            optimizer.zero_grad()
            terms["loss"].mean().backward()
            optimizer.step()
            kept.append(torch.stack([terms[name].detach() for name in totals], dim=1))
        means = torch.cat(kept).mean(0).tolist()
        history["train"].append(dict(zip(totals, means)))
        if x_held_out is not None:
            history["held_out"].append(mean_terms(model, x_held_out))
    return history
''',
    ("ps3_predictive", "a loop over new images, uniform noise below the probabilities"): '''
def transform(model: BernoulliVAE, x: Tensor) -> Tensor:
    with torch.no_grad():
        return model.encode(x)[0]


def prior_predictive_given(
    model: BernoulliVAE, z: Tensor, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    with torch.no_grad():
        chances = 1 / (1 + torch.exp(-model.decode(z)))
    noise = torch.rand(chances.shape, generator=generator, device=chances.device)
    return torch.where(noise < chances, 1.0, 0.0).to(chances), chances


def prior_predictive(
    model: BernoulliVAE, num_samples: int, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    parameter = next(iter(model.parameters()))
    pairs = []
    for _ in range(num_samples):
        z = parameter.new_empty(1, model.latent_dim).normal_(generator=generator)
        pairs.append(prior_predictive_given(model, z, generator))
    samples, chances = zip(*pairs)
    return torch.cat(samples), torch.cat(chances)


def posterior_predictive(
    model: BernoulliVAE, x: Tensor, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    with torch.no_grad():
        mu, std = model.encode(x)
    noise = torch.randn(mu.shape, generator=generator, device=mu.device)
    return prior_predictive_given(model, mu + std * noise, generator)
''',
    ("ps3_predictive", "one helper draws by binomial, detach in place of no_grad"): '''
def _pair(logits, generator):
    p = logits.detach().sigmoid()
    return torch.binomial(torch.ones_like(p), p, generator=generator), p


def transform(model: BernoulliVAE, x: Tensor) -> Tensor:
    mu, _ = model.encode(x)
    return mu.detach()


def prior_predictive_given(
    model: BernoulliVAE, z: Tensor, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    return _pair(model.decode(z), generator)


def prior_predictive(
    model: BernoulliVAE, num_samples: int, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    z = torch.zeros(num_samples, model.latent_dim, device=next(model.parameters()).device)
    return _pair(model.decode(z.normal_(0, 1, generator=generator)), generator)


def posterior_predictive(
    model: BernoulliVAE, x: Tensor, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    logits, *_ = model(x, generator)
    return _pair(logits, generator)
''',
    ("ps3_log_mean_exp", "the dimension in front, its largest pulled out"): '''
def log_mean_exp(values: Tensor, dim: int) -> Tensor:
    rows = values.movedim(dim, 0)
    largest, _ = rows.max(0)
    return (rows - largest).exp().mean(0).log() + largest
''',
    ("ps3_log_mean_exp", "from log_softmax"): '''
def log_mean_exp(values: Tensor, dim: int) -> Tensor:
    log_sum = values.amax(dim) - torch.log_softmax(values, dim).amax(dim)
    return log_sum - math.log(values.shape[dim])
''',
    ("ps3_log_mean_exp", "a tree of logaddexp, in double precision"): '''
def log_mean_exp(values: Tensor, dim: int) -> Tensor:
    parts = list(values.double().unbind(dim))
    count = len(parts)
    while len(parts) > 1:
        odd = parts[-1:] if len(parts) % 2 else []
        parts = [torch.logaddexp(a, b) for a, b in zip(parts[::2], parts[1::2])] + odd
    return (parts[0] - math.log(count)).to(values.dtype)
''',
    ("ps3_bound", "image by image, densities by hand without their common constant"): '''
def log_importance_weights(
    model: BernoulliVAE, x: Tensor, num_samples: int, generator: torch.Generator | None = None
) -> Tensor:
    columns = []
    for image, m, s in zip(x, *model.encode(x)):
        noise = torch.randn(num_samples, len(m), generator=generator, device=m.device)
        z = m + s * noise
        pixels = image.reshape(1, -1).expand(num_samples, -1)
        log_px = bernoulli_log_likelihood(pixels, model.decode(z))
        log_ratio = 0.5 * (noise**2 - z**2) + s.log()
        columns.append(log_px + log_ratio.sum(dim=1))
    return torch.stack(columns, dim=1)


def importance_weighted_bound(log_weights: Tensor) -> Tensor:
    return torch.logsumexp(log_weights, dim=0) - math.log(log_weights.size(0))
''',
    ("ps3_bound", "image-major order, joint densities, transposed at the end"): '''
def log_importance_weights(
    model: BernoulliVAE, x: Tensor, num_samples: int, generator: torch.Generator | None = None
) -> Tensor:
    D = torch.distributions
    mu, std = (part.unsqueeze(1) for part in model.encode(x))
    noise = mu.new_empty(len(x), num_samples, mu.shape[2]).normal_(generator=generator)
    z = torch.addcmul(mu, std, noise)
    pixels = x.flatten(1).repeat_interleave(num_samples, dim=0)
    log_px = bernoulli_log_likelihood(pixels, model.decode(z.flatten(0, 1)))
    q = D.Independent(D.Normal(mu, std), 1)
    p = D.Independent(D.Normal(torch.zeros_like(mu), torch.ones_like(std)), 1)
    return (log_px.view(len(x), num_samples) + p.log_prob(z) - q.log_prob(z)).T


def importance_weighted_bound(log_weights: Tensor) -> Tensor:
    highest = log_weights.max(dim=0).values
    return highest + (log_weights - highest).exp().mean(dim=0).log()
''',
}

ARGUABLE = {
    (
        "ps3_model",
        "clamped at 0.000001, which should be added",
    ): "a right variant of ours: it differs by 0.000001 at most, and its logarithm stays finite",
}
