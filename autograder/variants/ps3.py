"""Right answers of ps3, the Bernoulli VAE on black-and-white images, in other words."""

from autograder.misconceptions import swapped
from autograder.misconceptions.ps3 import FIT
from autograder.variants import Variant

# Another order of the latent numbers in the encoder's output, and little else.
PAIRS = """\
class BernoulliVAE(nn.Module):
    def __init__(self, num_pixels=784, hidden_sizes=(200,), latent_dim=100):
        super().__init__()
        self.num_pixels, self.latent_dim = num_pixels, latent_dim
        self.enc = make_mlp([num_pixels, *hidden_sizes, 2 * latent_dim])
        self.dec = make_mlp([latent_dim, *hidden_sizes[::-1], num_pixels])

    def encode(self, x):
        pairs = self.enc(x.reshape(len(x), -1)).view(len(x), self.latent_dim, 2)
        return pairs[..., 0], F.softplus(pairs[..., 1]) + 1e-6

    def decode(self, z):
        return self.dec(z)

    def forward(self, x, generator=None):
        mu, std = self.encode(x)
        eps = torch.normal(0.0, 1.0, std.shape, generator=generator, device=x.device)
        z = mu + eps * std
        return self.decode(z), mu, std
"""

BINARIZE = (
    Variant(
        "ps3_binarize",
        "a comparison with uniform numbers",
        """\
def binarize(x, threshold=0.5):
    return (x > threshold).to(x.dtype)


def binarize_randomly(x, generator=None):
    u = torch.rand(x.shape, generator=generator, device=x.device, dtype=x.dtype)
    return (u < x).to(x.dtype)
""",
    ),
    Variant(
        "ps3_binarize",
        "where, with zeros and ones like x",
        """\
def binarize(x, threshold=0.5):
    return torch.where(x <= threshold, torch.zeros_like(x), torch.ones_like(x))


def binarize_randomly(x, generator=None):
    drawn = torch.empty_like(x).uniform_(generator=generator)
    return torch.where(drawn < x, torch.ones_like(x), torch.zeros_like(x))
""",
    ),
    Variant(
        "ps3_binarize",
        "type_as, and a draw in place",
        """\
def binarize(x: torch.Tensor, threshold: float = 0.5) -> torch.Tensor:
    return torch.gt(x, threshold).type_as(x)


def binarize_randomly(x: torch.Tensor, generator=None) -> torch.Tensor:
    out = torch.zeros_like(x)
    return out.bernoulli_(x, generator=generator)
""",
    ),
    Variant(
        "ps3_binarize",
        "a copy, painted over",
        """\
def binarize(x, threshold=0.5):
    cut = x.detach().clone()
    white = cut > threshold
    cut[white] = 1.0
    cut[~white] = 0.0
    return cut


def binarize_randomly(x, generator=None):
    picture = torch.zeros_like(x)
    picture[torch.empty_like(x).uniform_(generator=generator) < x] = 1.0
    return picture
""",
    ),
    Variant(
        "ps3_binarize",
        "a step function, and torch.distributions without a generator",
        """\
def binarize(x, threshold=0.5):
    at_the_threshold = torch.zeros((), dtype=x.dtype, device=x.device)
    return torch.heaviside(x - threshold, at_the_threshold)


def binarize_randomly(x, generator=None):
    if generator is None:
        return torch.distributions.Bernoulli(probs=x).sample()
    return torch.bernoulli(x, generator=generator)
""",
    ),
    Variant(
        "ps3_binarize",
        "one throw of each coin, counted",
        """\
def black_and_white(is_white, x):
    return is_white.to(dtype=x.dtype, device=x.device)


def binarize(x, threshold=0.5):
    return black_and_white(~torch.le(x, threshold), x)


def binarize_randomly(x, generator=None):
    heads = torch.binomial(torch.ones_like(x), x, generator=generator)
    return black_and_white(heads == 1, x)
""",
    ),
)

MLP = (
    Variant(
        "ps3_mlp",
        "the last ReLU cut off",
        """\
def make_mlp(sizes):
    layers = []
    for i in range(len(sizes) - 1):
        layer = nn.Linear(sizes[i], sizes[i + 1])
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        nn.init.zeros_(layer.bias)
        layers += [layer, nn.ReLU()]
    return nn.Sequential(*layers[:-1])
""",
    ),
    Variant(
        "ps3_mlp",
        "a class of its own",
        """\
class Net(nn.Module):
    def __init__(self, sizes):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in zip(sizes, sizes[1:]))
        for layer in self.layers:
            with torch.no_grad():
                layer.weight.copy_(torch.randn_like(layer.weight))
                layer.weight.mul_((2 / layer.in_features) ** 0.5)
                layer.bias.fill_(0.0)

    def forward(self, x):
        for layer in self.layers[:-1]:
            x = layer(x).clamp(min=0)
        return self.layers[-1](x)


def make_mlp(sizes):
    return Net(list(sizes))
""",
    ),
    Variant(
        "ps3_mlp",
        "a helper for a layer, and the last one apart",
        """\
def linear(inputs: int, outputs: int) -> nn.Linear:
    layer = nn.Linear(inputs, outputs)
    layer.weight.data.normal_(0, math.sqrt(2 / inputs))
    layer.bias.data.zero_()
    return layer


def make_mlp(sizes):
    *hidden, last = [linear(a, b) for a, b in zip(sizes, sizes[1:])]
    return nn.Sequential(*(part for layer in hidden for part in (layer, nn.ReLU())), last)
""",
    ),
    Variant(
        "ps3_mlp",
        "new parameters in place of PyTorch's",
        """\
def make_mlp(sizes):
    net = nn.Sequential()
    for number, (a, b) in enumerate(zip(sizes[:-1], sizes[1:])):
        if number > 0:
            net.append(nn.ReLU(inplace=True))
        layer = nn.Linear(a, b)
        layer.weight = nn.Parameter(torch.randn(b, a) * (2 / a) ** 0.5)
        layer.bias = nn.Parameter(torch.zeros(b))
        net.append(layer)
    return net
""",
    ),
    Variant(
        "ps3_mlp",
        "initialised at the end, by apply",
        """\
def start_well(module):
    if isinstance(module, nn.Linear):
        nn.init.kaiming_normal_(module.weight)
        nn.init.constant_(module.bias, 0.0)


def make_mlp(sizes):
    parts = []
    for i, width in enumerate(sizes[1:]):
        parts.append(nn.Linear(sizes[i], width))
        if i + 2 < len(sizes):
            parts.append(nn.ReLU())
    return nn.Sequential(*parts).apply(start_well)
""",
    ),
)

LIKELIHOOD = (
    Variant(
        "ps3_log_likelihood",
        "the loss for logits, its sign turned",
        """\
def bernoulli_log_likelihood(x, logits):
    return -F.binary_cross_entropy_with_logits(logits, x, reduction="none").flatten(1).sum(1)
""",
    ),
    Variant(
        "ps3_log_likelihood",
        "torch.distributions",
        """\
def bernoulli_log_likelihood(x, logits):
    coins = torch.distributions.Bernoulli(logits=logits)
    return coins.log_prob(x).reshape(len(x), -1).sum(-1)
""",
    ),
    Variant(
        "ps3_log_likelihood",
        "logsigmoid, of both signs",
        """\
def bernoulli_log_likelihood(x, logits):
    x, logits = x.flatten(1), logits.flatten(1)
    return (x * F.logsigmoid(logits) + (1 - x) * F.logsigmoid(-logits)).sum(1)
""",
    ),
    # At x = 1 and a logit of 15 this is off by 0.0000003: nothing that matters.
    Variant(
        "ps3_log_likelihood",
        "softplus",
        """\
def bernoulli_log_likelihood(x, logits):
    return (x * logits - F.softplus(logits)).flatten(1).sum(dim=1)
""",
    ),
    Variant(
        "ps3_log_likelihood",
        "softplus in double precision",
        """\
def bernoulli_log_likelihood(x, logits):
    logits = logits.double()
    return (x * logits - nn.Softplus()(logits)).flatten(start_dim=1).sum(dim=1)
""",
    ),
    Variant(
        "ps3_log_likelihood",
        "einsum and logaddexp",
        """\
def bernoulli_log_likelihood(x, logits):
    x, logits = x.reshape(len(x), -1), logits.reshape(len(x), -1)
    normaliser = torch.logaddexp(logits, torch.zeros_like(logits)).sum(dim=1)
    return torch.einsum("bi,bi->b", x, logits) - normaliser
""",
    ),
    Variant(
        "ps3_log_likelihood",
        "image by image",
        """\
def bernoulli_log_likelihood(x, logits):
    loss = nn.BCEWithLogitsLoss(reduction="sum")
    return torch.stack([-loss(l, pixels) for pixels, l in zip(x, logits)])
""",
    ),
    Variant(
        "ps3_log_likelihood",
        "the exponential of what is never positive",
        """\
def bernoulli_log_likelihood(x, logits):
    cost = F.relu(logits) - x * logits + torch.log1p(torch.exp(-logits.abs()))
    return -cost.sum(dim=tuple(range(1, cost.ndim)))
""",
    ),
)

KL = (
    Variant(
        "ps3_kl",
        "term by term",
        """\
def gaussian_kl_from_std(mu, std):
    return (0.5 * (mu.square() + std.square()) - std.log() - 0.5).sum(-1)
""",
    ),
    Variant(
        "ps3_kl",
        "torch.distributions",
        """\
from torch.distributions import kl_divergence


def gaussian_kl_from_std(mu, std):
    return kl_divergence(Normal(mu, std), Normal(0.0, 1.0)).sum(-1)
""",
    ),
    Variant(
        "ps3_kl",
        "the half outside, the logarithm twice",
        """\
def gaussian_kl_from_std(mu: torch.Tensor, std: torch.Tensor) -> torch.Tensor:
    return 0.5 * (mu**2 + std**2 - 1 - 2 * torch.log(std)).sum(dim=-1)
""",
    ),
    Variant(
        "ps3_kl",
        "by way of the log-variance",
        """\
def gaussian_kl(mu, log_var):
    return 0.5 * torch.sum(mu.pow(2) + torch.exp(log_var) - 1 - log_var, dim=-1)


def gaussian_kl_from_std(mu, std):
    return gaussian_kl(mu, 2 * std.log())
""",
    ),
    Variant(
        "ps3_kl",
        "a joint distribution, and its prior made like it",
        """\
from torch.distributions import Independent, kl_divergence


def gaussian_kl_from_std(mu, std):
    q = Independent(Normal(mu, std), 1)
    p = Independent(Normal(torch.zeros_like(mu), torch.ones_like(std)), 1)
    return kl_divergence(q, p)
""",
    ),
    Variant(
        "ps3_kl",
        "dimension by dimension, in double precision",
        """\
def gaussian_kl_from_std(mu, std):
    total = torch.zeros(mu.shape[:-1], dtype=torch.float64, device=mu.device)
    for m, s in zip(mu.double().unbind(-1), std.double().unbind(-1)):
        total = total + 0.5 * (m * m + s * s - 1) - s.log()
    return total.to(mu.dtype)
""",
    ),
)

MODEL = (
    Variant(
        "ps3_model",
        "halves by slices",
        swapped(
            PAIRS,
            (
                "        pairs = self.enc(x.reshape(len(x), -1)).view(len(x), self.latent_dim, 2)\n"
                "        return pairs[..., 0], F.softplus(pairs[..., 1]) + 1e-6\n",
                "        h, k = self.enc(x.reshape(len(x), -1)), self.latent_dim\n"
                "        return h[:, :k], F.softplus(h[:, k:]) + 1e-6\n",
            ),
            ("torch.normal(0.0, 1.0, std.shape", "torch.randn(std.shape"),
        ),
    ),
    Variant("ps3_model", "pairs, and a normal draw by its name", PAIRS),
    Variant(
        "ps3_model",
        "two heads",
        """\
class BernoulliVAE(nn.Module):
    def __init__(self, num_pixels=784, hidden_sizes=(200,), latent_dim=100):
        super().__init__()
        self.num_pixels = num_pixels
        self.latent_dim = latent_dim
        sizes = list(hidden_sizes)
        self.body = nn.Sequential(make_mlp([num_pixels] + sizes), nn.ReLU())
        self.to_mu = make_mlp([sizes[-1], latent_dim])
        self.to_std = make_mlp([sizes[-1], latent_dim])
        self.decode = make_mlp([latent_dim] + sizes[::-1] + [num_pixels])

    def encode(self, x):
        h = self.body(x.view(x.shape[0], -1))
        return self.to_mu(h), 1e-6 + nn.Softplus()(self.to_std(h))

    def forward(self, x, generator=None):
        mu, std = self.encode(x)
        noise = torch.empty_like(mu).normal_(generator=generator)
        return self.decode(torch.addcmul(mu, std, noise)), mu, std
""",
    ),
    # A lower limit in place of a summand: nowhere a difference of more than 0.000001.
    Variant(
        "ps3_model",
        "a lower limit in place of a summand",
        swapped(
            PAIRS,
            (
                "F.softplus(pairs[..., 1]) + 1e-6",
                "F.softplus(pairs[..., 1]).clamp(min=1e-6)",
            ),
        ),
    ),
    Variant(
        "ps3_model",
        "one Sequential for each half, and a method that draws",
        """\
class BernoulliVAE(torch.nn.Module):
    def __init__(self, num_pixels=784, hidden_sizes=(200,), latent_dim=100):
        super().__init__()
        self.num_pixels = num_pixels
        self.latent_dim = latent_dim
        shape = (2, latent_dim)
        self.encoder = nn.Sequential(
            nn.Flatten(), make_mlp((num_pixels, *hidden_sizes, 2 * latent_dim)),
            nn.Unflatten(1, shape),
        )
        self.decoder = make_mlp((latent_dim, *reversed(hidden_sizes), num_pixels))

    def encode(self, x):
        mu, raw = self.encoder(x).unbind(dim=1)
        return mu, torch.logaddexp(raw, torch.zeros_like(raw)) + 0.000001

    def decode(self, z):
        return self.decoder(z)

    def draw(self, mu, std, generator):
        if generator is None:
            return mu + std * torch.randn_like(mu)
        device = next(self.parameters()).device
        return mu + std * torch.randn(mu.size(), generator=generator, device=device)

    def forward(self, x, generator=None):
        mu, std = self.encode(x)
        logits = self.decode(self.draw(mu, std, generator))
        return logits, mu, std
""",
    ),
)

TERMS = (
    Variant(
        "ps3_terms",
        "the two functions, and their sum",
        """\
def bernoulli_terms(model, x, generator=None):
    logits, mu, std = model(x, generator)
    nll = -bernoulli_log_likelihood(x.flatten(1), logits)
    kl = gaussian_kl_from_std(mu, std)
    return {"loss": nll + kl, "nll": nll, "kl": kl}
""",
    ),
    Variant(
        "ps3_terms",
        "torch.distributions, and the bound beside the loss",
        """\
from torch.distributions import Bernoulli, kl_divergence


def bernoulli_terms(model, x, generator=None):
    logits, mu, std = model(x, generator=generator)
    like = Bernoulli(logits=logits).log_prob(x.flatten(1)).sum(1)
    kl = kl_divergence(Normal(mu, std), Normal(0.0, 1.0)).sum(1)
    elbo = like - kl
    return dict(loss=-elbo, kl=kl, nll=-like, elbo=elbo.detach())
""",
    ),
    Variant(
        "ps3_terms",
        "written out",
        """\
def bernoulli_terms(model, x, generator=None):
    logits, mu, std = model(x, generator)
    pixels = x.reshape(x.shape[0], -1)
    nll = (F.softplus(logits) - pixels * logits).sum(dim=1)
    kl = (0.5 * (mu**2 + std**2 - 1) - std.log()).sum(dim=1)
    return {"nll": nll, "kl": kl, "loss": torch.add(nll, kl)}
""",
    ),
    Variant(
        "ps3_terms",
        "a dict that grows",
        """\
def bernoulli_terms(model, x, generator=None):
    logits, *posterior = model(x, generator)
    terms = {
        "nll": bernoulli_log_likelihood(x.view_as(logits), logits).neg(),
        "kl": gaussian_kl_from_std(*posterior),
    }
    terms["loss"] = sum(terms.values())
    return terms
""",
    ),
    Variant(
        "ps3_terms",
        "the loss for logits",
        """\
def bernoulli_terms(model: nn.Module, x: torch.Tensor, generator=None) -> dict:
    logits, mu, std = model.forward(x, generator)
    target = x.flatten(start_dim=1).to(logits.dtype)
    bce = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    losses = {"nll": bce.sum(-1), "kl": gaussian_kl_from_std(mu, std)}
    return losses | {"loss": torch.stack(list(losses.values())).sum(0)}
""",
    ),
)

FAULT = (
    Variant(
        "ps3_fit",
        "a permutation in parts, sums in a dict",
        """\
def fit(model, x, epochs, batch_size=64, learning_rate=1e-3, seed=0, x_held_out=None, redraw=None):
    device = next(model.parameters()).device
    order = torch.Generator().manual_seed(seed)
    noise = torch.Generator(device).manual_seed(seed)
    optimizer = torch.optim.RMSprop(model.parameters(), lr=learning_rate)
    history = {"train": [], "held_out": []}
    if x_held_out is not None:
        history["held_out"].append(mean_terms(model, x_held_out))
    for _ in range(epochs):
        rows = torch.randperm(len(x), generator=order)
        sums = dict.fromkeys(("loss", "nll", "kl"), 0.0)
        for start in range(0, len(x), batch_size):
            batch = x[rows[start : start + batch_size]].to(device)
            if redraw is not None:
                batch = redraw(batch, noise)
            terms = bernoulli_terms(model, batch, noise)
            loss = terms["loss"].mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            for name in sums:
                sums[name] += terms[name].sum().item()
        history["train"].append({name: total / len(x) for name, total in sums.items()})
        if x_held_out is not None:
            history["held_out"].append(mean_terms(model, x_held_out))
    return history
""",
    ),
    Variant(
        "ps3_fit",
        "a DataLoader, and one mean over the epoch's images",
        """\
def fit(
    model, x, epochs, batch_size=64, learning_rate=1e-3, seed=0, x_held_out=None, redraw=None
):
    from torch.utils.data import DataLoader, TensorDataset

    device = next(model.parameters()).device
    loader = DataLoader(
        TensorDataset(x), batch_size, shuffle=True, generator=torch.Generator().manual_seed(seed)
    )
    noise = torch.Generator(device=device)
    noise.manual_seed(seed)
    optimizer = torch.optim.RMSprop(model.parameters(), learning_rate)
    history = dict(train=[], held_out=[])

    def look():
        if x_held_out is not None:
            history["held_out"].append(mean_terms(model, x_held_out))

    look()
    for epoch in range(epochs):
        collected = []
        for (batch,) in loader:
            batch = batch.to(device)
            batch = batch if redraw is None else redraw(batch, noise)
            terms = bernoulli_terms(model, batch, noise)
            optimizer.zero_grad(set_to_none=True)
            torch.mean(terms["loss"]).backward()
            optimizer.step()
            collected.append(torch.stack([terms[k].detach() for k in ("loss", "nll", "kl")]))
        means = torch.cat(collected, 1).mean(1).tolist()
        history["train"].append(dict(zip(("loss", "nll", "kl"), means)))
        look()
    return history
""",
    ),
    Variant(
        "ps3_fit",
        "the bound is kept, its negative minimised and recorded",
        swapped(
            FIT,
            (
                '            loss = terms["loss"].mean()\n',
                '            elbo = -terms["loss"].sum() / len(batch)\n',
            ),
            ("            loss.backward()\n", "            (-elbo).backward()\n"),
            ('cost += terms["loss"].sum().item()', "cost -= elbo.item() * len(batch)"),
        ),
    ),
    Variant(
        "ps3_fit",
        "NumPy's permutation",
        swapped(
            FIT,
            (
                "    order = torch.Generator().manual_seed(seed)\n",
                "    numbers = np.random.default_rng(seed)\n",
            ),
            (
                "torch.randperm(len(x), generator=order)",
                "torch.from_numpy(numbers.permutation(len(x)))",
            ),
        ),
    ),
    Variant(
        "ps3_fit",
        "a copy is shuffled",
        swapped(
            FIT,
            ("    num_batches =", "    x = x.clone()\n    num_batches ="),
            (
                "rows = torch.randperm(len(x), generator=order)",
                "x[:] = x[torch.randperm(len(x), generator=order)]",
            ),
            (
                "x[rows[i * batch_size : (i + 1) * batch_size]]",
                "x[i * batch_size : (i + 1) * batch_size]",
            ),
        ),
    ),
    Variant(
        "ps3_fit",
        "modes set, sums kept in double precision where the model is",
        """\
def fit(model, x, epochs, batch_size=64, learning_rate=1e-3, seed=0, x_held_out=None, redraw=None):
    names = ["loss", "nll", "kl"]
    device = next(model.parameters()).device
    order, noise = torch.Generator(), torch.Generator(device)
    order.manual_seed(seed)
    noise.manual_seed(seed)
    optimizer = torch.optim.RMSprop(model.parameters(), lr=learning_rate)

    def measured():
        if x_held_out is None:
            return []
        model.eval()
        terms = mean_terms(model, x_held_out)
        model.train()
        return [terms]

    train, held_out = [], measured()
    for _ in range(epochs):
        model.train()
        totals = torch.zeros(3, dtype=torch.float64, device=device)
        for rows in torch.randperm(len(x), generator=order).split(batch_size):
            images = x[rows].to(device)
            if redraw:
                images = redraw(images, noise)
            model.zero_grad()
            terms = bernoulli_terms(model, images, noise)
            terms["loss"].mean().backward()
            optimizer.step()
            with torch.no_grad():
                totals += torch.stack([terms[name].sum() for name in names])
        train.append(dict(zip(names, (totals / x.shape[0]).tolist())))
        held_out += measured()
    return {"train": train, "held_out": held_out}
""",
    ),
    # Each image has a draw of its own in every epoch, which is what is asked for.
    Variant(
        "ps3_fit",
        "all images redrawn at once, at the beginning of an epoch",
        swapped(
            FIT,
            (
                "            if redraw is not None:\n"
                "                batch = redraw(batch, noise)\n",
                "",
            ),
            (
                "        rows = torch.randperm(",
                "        images = x if redraw is None else redraw(x.to(device), noise)\n"
                "        rows = torch.randperm(",
            ),
            ("batch = x[rows[", "batch = images[rows["),
        ),
    ),
)

PREDICTIVE = (
    Variant(
        "ps3_predictive",
        "one function calls the other",
        """\
def transform(model, x):
    with torch.no_grad():
        return model.encode(x)[0]


def prior_predictive_given(model, z, generator=None):
    with torch.no_grad():
        p = torch.sigmoid(model.decode(z))
        return (torch.rand(p.shape, generator=generator, device=p.device) < p).float(), p


def prior_predictive(model, num_samples, generator=None):
    where = next(model.parameters()).device
    z = torch.randn(num_samples, model.latent_dim, generator=generator, device=where)
    return prior_predictive_given(model, z, generator)


def posterior_predictive(model, x, generator=None):
    with torch.no_grad():
        mu, std = model.encode(x)
        z = mu + std * torch.randn(mu.shape, generator=generator, device=mu.device)
    return prior_predictive_given(model, z, generator)
""",
    ),
    Variant(
        "ps3_predictive",
        "decorators, and the notebook's device",
        """\
@torch.no_grad()
def transform(model, x):
    mu, std = model.encode(x)
    return mu


@torch.no_grad()
def prior_predictive_given(model, z, generator=None):
    chances = model.decode(z).sigmoid()
    return chances.bernoulli(generator=generator), chances


@torch.no_grad()
def prior_predictive(model, num_samples, generator=None):
    z = torch.empty(num_samples, model.latent_dim, device=device).normal_(generator=generator)
    chances = torch.sigmoid(model.decode(z))
    return torch.bernoulli(chances, generator=generator), chances


@torch.inference_mode()
def posterior_predictive(model, x, generator=None):
    chances = torch.sigmoid(model(x, generator=generator)[0])
    return torch.bernoulli(chances, generator=generator), chances
""",
    ),
    Variant(
        "ps3_predictive",
        "a helper from logits to pixels",
        """\
def pixels_of(logits, generator):
    probabilities = F.sigmoid(logits)
    return binarize_randomly(probabilities, generator), probabilities


def transform(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        mu, _ = model.encode(x)
        return mu


def prior_predictive_given(model, z, generator=None):
    with torch.no_grad():
        return pixels_of(model.decode(z), generator)


def prior_predictive(model, num_samples, generator=None):
    size = (num_samples, model.latent_dim)
    with torch.no_grad():
        z = torch.normal(
            0.0, 1.0, size, generator=generator, device=next(model.parameters()).device
        )
        return pixels_of(model.decode(z), generator)


def posterior_predictive(model, x, generator=None):
    with torch.no_grad():
        return pixels_of(model(x, generator)[0], generator)
""",
    ),
    Variant(
        "ps3_predictive",
        "detached at the end",
        """\
def transform(model, x):
    return model.encode(x)[0].detach()


def prior_predictive_given(model, z, generator=None):
    p = torch.sigmoid(model.decode(z)).detach()
    samples = torch.zeros_like(p)
    samples[torch.empty_like(p).uniform_(generator=generator) < p] = 1
    return samples, p


def prior_predictive(model, num_samples, generator=None):
    where = [parameter.device for parameter in model.parameters()][0]
    z = torch.randn((num_samples, model.latent_dim), device=where, generator=generator)
    return prior_predictive_given(model, z, generator=generator)


def posterior_predictive(model, x, generator=None):
    mu, std = model.encode(x)
    eps = torch.empty_like(std).normal_(generator=generator)
    return prior_predictive_given(model, torch.addcmul(mu, eps, std), generator=generator)
""",
    ),
    Variant(
        "ps3_predictive",
        "gradients switched off, torch.distributions without a generator",
        """\
def draw_pixels(p, generator):
    if generator is None:
        return torch.distributions.Bernoulli(p).sample()
    return torch.bernoulli(p, generator=generator)


def draw_code(mu, std, generator):
    if generator is None:
        return Normal(mu, std).sample()
    return mu + std * torch.randn(mu.shape, generator=generator, device=mu.device)


def transform(model, x):
    with torch.set_grad_enabled(False):
        return model.encode(x)[0]


def prior_predictive_given(model, z, generator=None):
    with torch.set_grad_enabled(False):
        p = 1 / (1 + torch.exp(-model.decode(z)))
    return draw_pixels(p, generator), p


def prior_predictive(model, num_samples, generator=None):
    zeros = next(model.parameters()).new_zeros(num_samples, model.latent_dim).detach()
    return prior_predictive_given(model, draw_code(zeros, zeros + 1, generator), generator)


def posterior_predictive(model, x, generator=None):
    with torch.set_grad_enabled(False):
        z = draw_code(*model.encode(x), generator)
    return prior_predictive_given(model, z, generator)
""",
    ),
)

LOG_MEAN_EXP = (
    Variant(
        "ps3_log_mean_exp",
        "logsumexp, minus the logarithm of the size",
        """\
def log_mean_exp(values, dim):
    return torch.logsumexp(values, dim) - math.log(values.size(dim))
""",
    ),
    Variant(
        "ps3_log_mean_exp",
        "the largest pulled out",
        """\
def log_mean_exp(values, dim):
    top = values.max(dim=dim, keepdim=True).values
    return (values - top).exp().mean(dim=dim).log() + top.squeeze(dim)
""",
    ),
    Variant(
        "ps3_log_mean_exp",
        "divided inside",
        """\
def log_mean_exp(values: torch.Tensor, dim: int) -> torch.Tensor:
    return torch.logsumexp(values - np.log(values.shape[dim]), dim=dim)
""",
    ),
    Variant(
        "ps3_log_mean_exp",
        "one after another",
        """\
def log_mean_exp(values, dim):
    first, *others = values.unbind(dim)
    total = first
    for value in others:
        total = torch.logaddexp(total, value)
    return total - math.log(1 + len(others))
""",
    ),
    Variant(
        "ps3_log_mean_exp",
        "in double precision",
        """\
def log_mean_exp(values, dim):
    wide = values.double()
    shift = wide.amax(dim, keepdim=True)
    total = torch.exp(wide - shift).sum(dim, keepdim=True)
    return (shift + torch.log(total / values.shape[dim])).squeeze(dim).to(values.dtype)
""",
    ),
)

BOUND = (
    Variant(
        "ps3_bound",
        "all codes in one batch",
        """\
def log_importance_weights(model, x, num_samples, generator=None):
    mu, std = model.encode(x)
    eps = torch.randn((num_samples, *mu.shape), generator=generator, device=mu.device)
    z = mu + std * eps
    k, b = num_samples, len(x)
    logits = model.decode(z.reshape(k * b, -1))
    pixels = x.flatten(1).repeat(k, 1)
    log_x = bernoulli_log_likelihood(pixels, logits).reshape(k, b)
    log_p = Normal(0.0, 1.0).log_prob(z).sum(-1)
    log_q = Normal(mu, std).log_prob(z).sum(-1)
    return log_x + log_p - log_q


def importance_weighted_bound(log_weights):
    return torch.logsumexp(log_weights, 0) - math.log(len(log_weights))
""",
    ),
    Variant(
        "ps3_bound",
        "sample by sample, the constants cancelled",
        """\
def log_importance_weights(model, x, num_samples, generator=None):
    mu, std = model.encode(x)
    rows = []
    for _ in range(num_samples):
        eps = torch.randn(mu.shape, generator=generator, device=mu.device)
        z = mu + std * eps
        log_ratio = (0.5 * (eps**2 - z**2) + std.log()).sum(1)
        rows.append(bernoulli_log_likelihood(x.flatten(1), model.decode(z)) + log_ratio)
    return torch.stack(rows)


def importance_weighted_bound(log_weights):
    return log_mean_exp(log_weights, 0)
""",
    ),
    Variant(
        "ps3_bound",
        "image by image within a batch, then turned",
        """\
def log_importance_weights(model, x, num_samples, generator=None):
    pixels = x.flatten(1).repeat_interleave(num_samples, dim=0)
    mu, std = model.encode(pixels)
    z = mu + std * torch.empty_like(mu).normal_(generator=generator)
    log_w = (
        bernoulli_log_likelihood(pixels, model.decode(z))
        + Normal(torch.zeros_like(z), torch.ones_like(z)).log_prob(z).sum(1)
        - Normal(mu, std).log_prob(z).sum(1)
    )
    return log_w.view(len(x), num_samples).T


def importance_weighted_bound(log_weights):
    top, _ = log_weights.max(dim=0)
    return top + torch.log(torch.mean(torch.exp(log_weights - top), dim=0))
""",
    ),
    Variant(
        "ps3_bound",
        "joint distributions",
        """\
from torch.distributions import Bernoulli, Independent


def log_importance_weights(model, x, num_samples, generator=None):
    q = Independent(Normal(*model.encode(x)), 1)
    shape = (num_samples, *q.mean.shape)
    noise = torch.randn(shape, generator=generator, device=x.device)
    z = q.mean + q.stddev * noise
    prior = Independent(Normal(torch.zeros_like(q.mean), torch.ones_like(q.mean)), 1)
    logits = model.decode(z.flatten(0, 1)).unflatten(0, shape[:2])
    likelihood = Independent(Bernoulli(logits=logits), 1)
    return likelihood.log_prob(x.flatten(1)) + prior.log_prob(z) - q.log_prob(z)


def importance_weighted_bound(log_weights):
    return log_weights.logsumexp(dim=0) - np.log(log_weights.shape[0])
""",
    ),
    Variant(
        "ps3_bound",
        "the densities written out",
        """\
def log_normal(z, mean, std):
    density = -0.5 * ((z - mean) / std) ** 2 - std.log() - 0.5 * math.log(2 * math.pi)
    return density.sum(dim=-1)


def log_importance_weights(model, x, num_samples, generator=None):
    mu, std = (part.expand(num_samples, -1, -1) for part in model.encode(x))
    z = torch.addcmul(mu, std, torch.randn(mu.shape, generator=generator, device=mu.device))
    logits = torch.stack([model.decode(codes) for codes in z])
    pixels = x.reshape(len(x), -1)
    log_x = torch.einsum("bi,kbi->kb", pixels, logits) - F.softplus(logits).sum(dim=-1)
    log_prior = log_normal(z, torch.zeros_like(z), torch.ones_like(z))
    return log_x + log_prior - log_normal(z, mu, std)


def importance_weighted_bound(log_weights):
    scaled = log_weights - math.log(log_weights.shape[0])
    return torch.logsumexp(scaled, dim=0)
""",
    ),
)

VARIANTS: tuple[Variant, ...] = (
    *BINARIZE,
    *MLP,
    *LIKELIHOOD,
    *KL,
    *MODEL,
    *TERMS,
    *FAULT,
    *PREDICTIVE,
    *LOG_MEAN_EXP,
    *BOUND,
)
