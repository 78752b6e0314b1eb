"""The checks of ps3: the reference and other right answers score in full, wrong ones lose points.

The wrong answers are those that students are known to write; each names words of the message it
gets.
"""

import ast
import inspect

import pytest
from known import assert_named, mistakes

from autograder.misconceptions import swapped as swap
from vae_course import bernoulli_vae

EXERCISES = {
    "binarize": "vae_course.bernoulli_vae.binarize",
    "mlp": "vae_course.bernoulli_vae.make_mlp",
    "log_likelihood": "vae_course.probability.bernoulli_log_likelihood",
    "kl": "vae_course.probability.gaussian_kl_from_std",
    "model": "vae_course.bernoulli_vae.BernoulliVAE",
    "terms": "vae_course.bernoulli_vae.bernoulli_terms",
    "fit": "vae_course.bernoulli_vae.fit",
    "predictive": "vae_course.bernoulli_vae.transform",
    "log_mean_exp": "vae_course.probability.log_mean_exp",
    "bound": "vae_course.bernoulli_vae.log_importance_weights",
}
POINTS = {
    "binarize": 2, "mlp": 3, "log_likelihood": 3, "kl": 3, "model": 6, "terms": 3, "fit": 4,
    "predictive": 4, "log_mean_exp": 1, "bound": 3,
}  # fmt: skip
SLOW = {"model"}


def _given() -> str:
    """The reference's module as a cell: without its imports of other modules of the reference."""
    tree = ast.parse(inspect.getsource(bernoulli_vae))
    tree.body = [
        node
        for node in tree.body
        if not (isinstance(node, ast.ImportFrom) and str(node.module).startswith("vae_course"))
    ]
    return ast.unparse(tree)


GIVEN = _given()


@pytest.fixture(scope="module")
def judged_ps3(judged):
    """Judge `cells`, written over the reference's answers, on an exercise of ps3."""

    def run(name: str, *cells: str, **settings):
        return judged(f"ps3_{name}", GIVEN, *cells, points=POINTS[name], **settings)

    return run


BLACK = """
def binarize(x, threshold=0.5):
    return (x > threshold).to(x.dtype)

def binarize_randomly(x, generator=None):
    return (torch.rand(x.shape, generator=generator) < x).to(x.dtype)
"""
MLP = """
def make_mlp(sizes):
    layers = []
    for i in range(len(sizes) - 1):
        layer = nn.Linear(sizes[i], sizes[i + 1])
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        nn.init.zeros_(layer.bias)
        layers += [layer, nn.ReLU()]
    return nn.Sequential(*layers[:-1])
"""
LL = "def bernoulli_log_likelihood(x, logits):\n    return "
BCE = "F.binary_cross_entropy_with_logits(logits, x, reduction='none').flatten(1).sum(1)"
KL = "def gaussian_kl_from_std(mu, std):\n    return "
MODEL = """
class BernoulliVAE(nn.Module):
    def __init__(self, num_pixels=784, hidden_sizes=(200,), latent_dim=100):
        super().__init__()
        self.num_pixels, self.latent_dim = num_pixels, latent_dim
        self.enc = make_mlp([num_pixels, *hidden_sizes, 2 * latent_dim])
        self.dec = make_mlp([latent_dim, *hidden_sizes[::-1], num_pixels])

    def encode(self, x):
        h = self.enc(x.reshape(len(x), -1))
        return h[:, :self.latent_dim], F.softplus(h[:, self.latent_dim:]) + 1e-6

    def decode(self, z):
        return self.dec(z)

    def forward(self, x, generator=None):
        mu, std = self.encode(x)
        eps = torch.randn(std.shape, generator=generator, device=x.device)
        z = mu + eps * std
        return self.decode(z), mu, std
"""
TERMS = """
def bernoulli_terms(model, x, generator=None):
    logits, mu, std = model(x, generator)
    nll = -bernoulli_log_likelihood(x.flatten(1), logits)
    kl = gaussian_kl_from_std(mu, std)
    return {"loss": nll + kl, "nll": nll, "kl": kl}
"""
FIT = """
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
"""
STARTER = """
def fit(model, x, epochs, batch_size=64, learning_rate=1e-3, seed=0, x_held_out=None, redraw=None):
    order = torch.Generator().manual_seed(seed)
    noise = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.RMSprop(model.parameters(), lr=learning_rate)
    history = {"train": [], "held_out": []}
    if x_held_out is not None:
        history["held_out"].append(mean_terms(model, x_held_out))
    num_batches = len(x) // batch_size
    for _ in range(epochs):
        x[:] = x[torch.randperm(len(x), generator=order)]
        cost, nll, kl = 0.0, 0.0, 0.0
        for i in range(num_batches):
            batch = x[i * batch_size : (i + 1) * batch_size]
            if redraw is not None:
                batch = redraw(batch, noise)
            terms = bernoulli_terms(model, batch, noise)
            elbo = -terms["loss"].sum()
            optimizer.zero_grad()
            (-elbo).backward()
            optimizer.step()
            cost += elbo.item() / batch_size
            nll += terms["nll"].sum().item() / batch_size
            kl += terms["kl"].sum().item() / batch_size
        history["train"].append(
            {"loss": cost / num_batches, "nll": nll / num_batches, "kl": kl / num_batches}
        )
        if x_held_out is not None:
            history["held_out"].append(mean_terms(model, x_held_out))
    return history
"""
PREDICT = """
def transform(model, x):
    with torch.no_grad():
        return model.encode(x)[0]

def prior_predictive_given(model, z, generator=None):
    with torch.no_grad():
        p = torch.sigmoid(model.decode(z))
        return (torch.rand(p.shape, generator=generator) < p).float(), p

def prior_predictive(model, num_samples, generator=None):
    z = torch.randn(num_samples, model.latent_dim, generator=generator)
    return prior_predictive_given(model, z, generator)

def posterior_predictive(model, x, generator=None):
    with torch.no_grad():
        mu, std = model.encode(x)
        z = mu + std * torch.randn(mu.shape, generator=generator)
    return prior_predictive_given(model, z, generator)
"""
LME = "def log_mean_exp(values, dim):\n    return "
BOUND = """
def log_importance_weights(model, x, num_samples, generator=None):
    mu, std = model.encode(x)
    eps = torch.randn((num_samples, *mu.shape), generator=generator)
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
"""

RIGHT = [
    ("binarize", BLACK),
    (
        "binarize",
        """
        def binarize(x, threshold=0.5):
            return torch.where(x <= threshold, torch.zeros_like(x), torch.ones_like(x))

        def binarize_randomly(x, generator=None):
            drawn = torch.empty_like(x).uniform_(generator=generator)
            return torch.where(drawn < x, torch.ones_like(x), torch.zeros_like(x))
        """,
    ),
    (
        "binarize",
        """
        def binarize(x: Tensor, threshold: float = 0.5) -> Tensor:
            return torch.gt(x, threshold).type_as(x)

        def binarize_randomly(x: Tensor, generator=None) -> Tensor:
            out = torch.zeros_like(x)
            return out.bernoulli_(x, generator=generator)
        """,
    ),
    ("mlp", MLP),
    (
        "mlp",
        """
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
    ("log_likelihood", LL + "-" + BCE),
    (
        "log_likelihood",
        LL + "torch.distributions.Bernoulli(logits=logits).log_prob(x).reshape(len(x), -1).sum(-1)",
    ),
    (
        "log_likelihood",
        """
        def bernoulli_log_likelihood(x, logits):
            x, logits = x.flatten(1), logits.flatten(1)
            return (x * F.logsigmoid(logits) + (1 - x) * F.logsigmoid(-logits)).sum(1)
        """,
    ),
    # At x = 1 and a logit of 15 this is off by 0.0000003: nothing that matters.
    ("log_likelihood", LL + "(x * logits - F.softplus(logits)).flatten(1).sum(dim=1)"),
    ("log_likelihood", LL + "(x * logits - F.softplus(logits)).double().flatten(1).sum(dim=1)"),
    ("kl", KL + "(0.5 * (mu.square() + std.square()) - std.log() - 0.5).sum(-1)"),
    ("kl", KL + "torch.distributions.kl_divergence(Normal(mu, std), Normal(0.0, 1.0)).sum(-1)"),
    ("kl", KL + "0.5 * (mu**2 + std**2 - 1 - 2 * torch.log(std)).sum(dim=-1)"),
    ("kl", KL + "gaussian_kl(mu, 2 * std.log())"),
    ("model", MODEL),
    # A lower limit in place of a summand: nowhere a difference of more than 0.000001.
    (
        "model",
        swap(
            MODEL,
            (
                "F.softplus(h[:, self.latent_dim:]) + 1e-6",
                "F.softplus(h[:, self.latent_dim:]).clamp(min=1e-6)",
            ),
        ),
    ),
    (
        "model",
        """
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
    ("terms", TERMS),
    (
        "terms",
        """
        def bernoulli_terms(model, x, generator=None):
            logits, mu, std = model(x, generator=generator)
            like = torch.distributions.Bernoulli(logits=logits).log_prob(x.flatten(1)).sum(1)
            kl = torch.distributions.kl_divergence(Normal(mu, std), Normal(0.0, 1.0)).sum(1)
            elbo = like - kl
            return dict(loss=-elbo, kl=kl, nll=-like, elbo=elbo.detach())
        """,
    ),
    ("fit", FIT),
    ("fit", swap(FIT, ('loss = terms["loss"].mean()', 'loss = terms["loss"].sum() / len(batch)'))),
    (
        "fit",
        """
        def fit(
            model, x, epochs, batch_size=64, learning_rate=1e-3, seed=0, x_held_out=None,
            redraw=None,
        ):
            generator = torch.Generator().manual_seed(seed)
            loader = torch.utils.data.DataLoader(
                torch.utils.data.TensorDataset(x), batch_size, shuffle=True, generator=generator
            )
            optimizer = torch.optim.RMSprop(model.parameters(), learning_rate)
            history = dict(train=[], held_out=[])
            def look():
                if x_held_out is not None:
                    history["held_out"].append(mean_terms(model, x_held_out))
            look()
            for epoch in range(epochs):
                collected = []
                for (batch,) in loader:
                    batch = batch if redraw is None else redraw(batch, generator)
                    terms = bernoulli_terms(model, batch, generator)
                    optimizer.zero_grad(set_to_none=True)
                    torch.mean(terms["loss"]).backward()
                    optimizer.step()
                    rows = [terms[k].detach() for k in ("loss", "nll", "kl")]
                    collected.append(torch.stack(rows))
                means = torch.cat(collected, 1).mean(1).tolist()
                history["train"].append(dict(zip(("loss", "nll", "kl"), means)))
                look()
            return history
        """,
    ),
    (
        "fit",
        swap(
            FIT,
            (
                "torch.randperm(len(x), generator=order)",
                "torch.from_numpy(numbers.permutation(len(x)))",
            ),
            (
                "    order = torch.Generator().manual_seed(seed)\n",
                "    numbers = np.random.default_rng(seed)\n",
            ),
        ),
    ),
    (
        "fit",
        swap(
            FIT,
            ("    history = {", "    x = x.clone()\n    history = {"),
            (
                "rows = torch.randperm(len(x), generator=order)",
                "x = x[torch.randperm(len(x), generator=order)]",
            ),
            ("x[rows[start : start + batch_size]]", "x[start : start + batch_size]"),
        ),
    ),
    ("predictive", PREDICT),
    (
        "predictive",
        """
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
            z = torch.empty(num_samples, model.latent_dim).normal_(generator=generator)
            chances = torch.sigmoid(model.decode(z))
            return torch.bernoulli(chances, generator=generator), chances

        @torch.inference_mode()
        def posterior_predictive(model, x, generator=None):
            chances = torch.sigmoid(model(x, generator=generator)[0])
            return torch.bernoulli(chances, generator=generator), chances
        """,
    ),
    ("log_mean_exp", LME + "torch.logsumexp(values, dim) - math.log(values.size(dim))"),
    (
        "log_mean_exp",
        """
        def log_mean_exp(values, dim):
            top = values.max(dim=dim, keepdim=True).values
            return (values - top).exp().mean(dim=dim).log() + top.squeeze(dim)
        """,
    ),
    ("bound", BOUND),
    (
        "bound",
        """
        def log_importance_weights(model, x, num_samples, generator=None):
            mu, std = model.encode(x)
            rows = []
            for _ in range(num_samples):
                eps = torch.randn(mu.shape, generator=generator)
                z = mu + std * eps
                log_ratio = (0.5 * (eps ** 2 - z ** 2) + std.log()).sum(1)
                rows.append(bernoulli_log_likelihood(x.flatten(1), model.decode(z)) + log_ratio)
            return torch.stack(rows)

        def importance_weighted_bound(log_weights):
            return log_mean_exp(log_weights, 0)
        """,
    ),
]

NORMALS = 'nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")'
WRONG = [
    # 30 and the like: black and white
    (
        "binarize",
        "threshold ignored",
        swap(BLACK, ("x > threshold", "x > 0.5")),
        "threshold of 0.2",
    ),
    (
        "binarize",
        "rounded",
        swap(BLACK, ("(x > threshold).to(x.dtype)", "x.round()")),
        "threshold of 0.2",
    ),
    ("binarize", "swapped", swap(BLACK, ("x > threshold", "x < threshold")), "swapped"),
    (
        "binarize",
        "one draw for all pixels",
        swap(BLACK, ("x.shape, gen", "len(x), 1, gen")),
        "together",
    ),
    (
        "binarize",
        "one draw for all images",
        swap(BLACK, ("x.shape, gen", "x.shape[1:], gen")),
        "alike",
    ),
    ("binarize", "normal noise", swap(BLACK, ("torch.rand(", "torch.randn(")), "these shares"),
    (
        "binarize",
        "drawn the other way",
        swap(BLACK, ("generator) < x", "generator) > x")),
        "shares",
    ),
    (
        "binarize",
        "seeded inside",
        swap(
            BLACK,
            ("    return (torch", "    torch.manual_seed(0)\n    return (torch"),
            (", generator=generator", ""),
        ),
        "every call",
    ),
    # 8, 9, 10: the network
    (
        "mlp",
        "one over n",
        swap(MLP, (NORMALS, "nn.init.normal_(layer.weight, std=sizes[i] ** -0.5)")),
        "hence a 2",
    ),
    (
        "mlp",
        "outputs counted",
        swap(MLP, ('nonlinearity="relu"', 'nonlinearity="relu", mode="fan_out"')),
        "count the inputs",
    ),
    ("mlp", "the default weights", swap(MLP, (NORMALS, "pass")), "default"),
    ("mlp", "glorot", swap(MLP, (NORMALS, "nn.init.xavier_normal_(layer.weight)")), "Glorot"),
    ("mlp", "standard normal", swap(MLP, (NORMALS, "nn.init.normal_(layer.weight)")), "whatever"),
    ("mlp", "biases random", swap(MLP, ("zeros_(layer.bias)", "normal_(layer.bias)")), "Biases"),
    (
        "mlp",
        "no relu",
        swap(MLP, ("[layer, nn.ReLU()]", "[layer, nn.Identity()]")),
        "linear function",
    ),
    ("mlp", "tanh", swap(MLP, ("nn.ReLU()", "nn.Tanh()")), ""),
    ("mlp", "leaky", swap(MLP, ("nn.ReLU()", "nn.LeakyReLU(0.2)")), "else than a ReLU"),
    ("mlp", "slightly leaky", swap(MLP, ("nn.ReLU()", "nn.LeakyReLU()")), "else than a ReLU"),
    (
        "mlp",
        "one relu only",
        swap(
            MLP,
            ("layers += [layer, nn.ReLU()]", "layers += [layer, nn.ReLU()] if i == 0 else [layer]"),
            ("*layers[:-1]", "*(layers if len(sizes) > 2 else layers[:-1])"),
        ),
        "between every two",
    ),
    ("mlp", "a plain list", swap(MLP, ("nn.Sequential(*layers[:-1])", "layers[:-1]")), "list"),
    (
        "mlp",
        "the last layer missing",
        swap(MLP, ("range(len(sizes) - 1)", "range(len(sizes) - 2)")),
        "",
    ),
    (
        "mlp",
        "seeded",
        swap(MLP, ("    layers = []", "    torch.manual_seed(0)\n    layers = []")),
        "the very same weights",
    ),
    # 1-5: the likelihood
    (
        "log_likelihood",
        "clamped probabilities",
        LL + "torch.distributions.Bernoulli(torch.sigmoid(logits).clamp(1e-6, 1 - 1e-6))"
        ".log_prob(x).flatten(1).sum(1)",
        "a sigmoid computed on the way",
    ),
    (
        "log_likelihood",
        "sum over all",
        LL + "-" + swap(BCE, (".sum(1)", ".sum()")),
        "single number",
    ),
    (
        "log_likelihood",
        "only the white pixels",
        LL + "(x * F.logsigmoid(logits)).flatten(1).sum(1)",
        "Only the pixels that are 1",
    ),
    (
        "log_likelihood",
        "squared error",
        LL + "-(x - torch.sigmoid(logits)).square().flatten(1).sum(1)",
        "squared error",
    ),
    ("log_likelihood", "detached", LL + "(-" + BCE + ").detach()", "No gradient"),
    # 15 and the divergence
    (
        "kl",
        "log doubled",
        KL + "(0.5 * (mu**2 + std**2 - 1) - 2 * std.log()).sum(-1)",
        "counts twice",
    ),
    (
        "kl",
        "sign of the log",
        KL + "(0.5 * (mu**2 + std**2 - 1) + std.log()).sum(-1)",
        "logarithm has the wrong sign",
    ),
    (
        "kl",
        "reversed",
        KL + "kl_divergence(Normal(0.0, 1.0), Normal(mu, std)).sum(-1)",
        "swapped",
    ),
    ("kl", "no constant", KL + "(0.5 * (mu**2 + std**2) - std.log()).sum(-1)", "same amount"),
    ("kl", "no mean", KL + "(0.5 * (std**2 - 1) - std.log()).sum(-1)", "what `mu` does"),
    ("kl", "scalar", KL + "(0.5 * (mu**2 + std**2 - 1) - std.log()).sum()", "single number"),
    (
        "kl",
        "clamped",
        KL + "(0.5 * (mu**2 + std**2 - 1) - std.clamp_min(1e-3).log()).sum(-1)",
        "near 0.000001",
    ),
    (
        "kl",
        "log of the product",
        KL + "0.5 * (mu**2 + std**2 - 1).sum(-1) - std.prod(-1).log()",
        "infinite",
    ),
    (
        "kl",
        "all but the first dimension",
        KL + "(0.5 * (mu**2 + std**2 - 1) - std.log()).flatten(1).sum(1)",
        "(2, 3, 5)",
    ),
    ("kl", "detached", KL + "(0.5 * (mu**2 + std**2 - 1) - std.detach().log()).sum(-1)", "`std`"),
    # 10-14: the model
    (
        "model",
        "mu and std from the same numbers",
        swap(
            MODEL,
            ("2 * latent_dim", "latent_dim"),
            ("F.softplus(h[:, self.latent_dim:])", "F.softplus(h)"),
        ),
        "two things",
    ),
    ("model", "exp", swap(MODEL, ("F.softplus(", "torch.exp(")), "exponential"),
    ("model", "abs", swap(MODEL, ("F.softplus(", "torch.abs(")), ""),
    ("model", "relu", swap(MODEL, ("F.softplus(", "F.relu(")), "not a softplus"),
    (
        "model",
        "little number on the variance",
        swap(
            MODEL,
            (
                "F.softplus(h[:, self.latent_dim:]) + 1e-6",
                "(F.softplus(h[:, self.latent_dim:]) ** 2 + 1e-6).sqrt()",
            ),
        ),
        "does not fall below 0.001",
    ),
    (
        "model",
        "a variance is returned",
        swap(
            MODEL,
            (
                "F.softplus(h[:, self.latent_dim:]) + 1e-6",
                "F.softplus(h[:, self.latent_dim:]) ** 2 + 1e-6",
            ),
        ),
        "proportion",
    ),
    (
        "model",
        "root of it",
        swap(MODEL, ("mu + eps * std", "mu + eps * std.sqrt()")),
        "do not scatter",
    ),
    (
        "model",
        "exp of it",
        swap(MODEL, ("mu + eps * std", "mu + eps * (0.5 * std).exp()")),
        "do not scatter",
    ),
    ("model", "nothing drawn", swap(MODEL, ("z = mu + eps * std", "z = mu")), "nothing is drawn"),
    ("model", "from the prior", swap(MODEL, ("z = mu + eps * std", "z = eps")), "do not scatter"),
    (
        "model",
        "relu on the logits",
        swap(MODEL, ("return self.dec(z)", "return F.relu(self.dec(z))")),
        "never negative",
    ),
    (
        "model",
        "tanh on mu",
        swap(MODEL, ("return h[:, :self.latent_dim]", "return torch.tanh(h[:, :self.latent_dim])")),
        "`mu` does not grow",
    ),
    (
        "model",
        "not flattened",
        swap(MODEL, ("x.reshape(len(x), -1)", "x")),
        "",
    ),
    (
        "model",
        "squeezed",
        swap(MODEL, ("x.reshape(len(x), -1)", "x.reshape(len(x), -1).squeeze()")),
        "",
    ),
    (
        "model",
        "split on the batch",
        swap(
            MODEL,
            (
                "return h[:, :self.latent_dim], F.softplus(h[:, self.latent_dim:]) + 1e-6",
                "return h[: len(h) // 2], F.softplus(h[len(h) // 2 :]) + 1e-6",
            ),
        ),
        "shape",
    ),
    (
        "model",
        "swapped on return",
        swap(MODEL, ("self.decode(z), mu, std", "self.decode(z), std, mu")),
        "",
    ),
    (
        "model",
        "frozen",
        swap(MODEL, ("        eps =", "        torch.manual_seed(0)\n        eps =")),
        "every call",
    ),
    (
        "model",
        "std cut off",
        swap(MODEL, ("z = mu + eps * std", "z = mu + eps * std.detach()")),
        "only one half",
    ),
    (
        "model",
        "sizes fixed",
        swap(MODEL, ("*hidden_sizes,", "200,"), ("*hidden_sizes[::-1]", "200")),
        "",
    ),
    # 6: the terms
    (
        "terms",
        "swapped",
        swap(TERMS, ("(x.flatten(1), logits)", "(logits, x.flatten(1))")),
        "swapped",
    ),
    (
        "terms",
        "log-variance's divergence",
        swap(TERMS, ("gaussian_kl_from_std(mu, std)", "gaussian_kl(mu, std)")),
        "taken for a log-variance",
    ),
    (
        "terms",
        "variance's divergence",
        swap(TERMS, ("gaussian_kl_from_std(mu, std)", "gaussian_kl_from_var(mu, std)")),
        "taken for a variance",
    ),
    (
        "terms",
        "loss averaged over the batch",
        swap(TERMS, ('"loss": nll + kl', '"loss": (nll + kl).mean()')),
        "single",
    ),
    ("terms", "kl averaged", swap(TERMS, ("(mu, std)", "(mu, std) / mu.shape[1]")), "5 latent"),
    (
        "terms",
        "a tuple",
        swap(TERMS, ('{"loss": nll + kl, "nll": nll, "kl": kl}', "nll + kl, nll, kl")),
        "a tuple",
    ),
    (
        "terms",
        "detached",
        swap(TERMS, ('"loss": nll + kl', '"loss": (nll + kl).detach()')),
        "No grad",
    ),
    (
        "terms",
        "kl detached",
        swap(TERMS, ('"loss": nll + kl', '"loss": nll + kl.detach()')),
        "`mu`",
    ),
    (
        "terms",
        "two forward passes",
        swap(
            TERMS,
            (
                "    logits, mu, std = model(x, generator)\n",
                "    logits = model(x, generator)[0]\n",
            ),
            ("    kl =", "    _, mu, std = model(x)\n    kl ="),
        ),
        "asked 2 times",
    ),
    (
        "terms",
        "images only",
        swap(TERMS, ("x.flatten(1), logits", "x[:, 0].flatten(1), logits")),
        "",
    ),
    # 7, 16, 17, 18: the loop
    (
        "fit",
        "last batch dropped, and all images divided by",
        swap(
            FIT, ("range(0, len(x), batch_size)", "range(0, len(x) - batch_size + 1, batch_size)")
        ),
        "last batch",
    ),
    (
        "fit",
        "every sign turned in the history",
        swap(FIT, ("sums[name] += terms", "sums[name] -= terms")),
        "wrong sign",
    ),
    ("fit", "sum in the history", swap(FIT, ("total / len(x)", "total")), "10 times"),
    (
        "fit",
        "likelihood still divided by the batch size",
        swap(
            FIT,
            (
                "sums[name] += terms[name].sum().item()",
                'sums[name] += terms[name].sum().item() / (1 if name == "loss" else batch_size)',
            ),
        ),
        '"nll" of the history is 0.25 times',
    ),
    (
        "fit",
        "divergence still divided by the batch size",
        swap(
            FIT,
            (
                "sums[name] += terms[name].sum().item()",
                'sums[name] += terms[name].sum().item() / (batch_size if name == "kl" else 1)',
            ),
        ),
        '"kl" of the history is 0.25 times',
    ),
    (
        "fit",
        "an empty last batch",
        swap(
            FIT,
            ("range(0, len(x), batch_size)", "range(0, len(x) + 1, batch_size)"),
            ("terms[name].sum().item()", "terms[name].mean().item() * len(batch)"),
        ),
        "empty batch",
    ),
    (
        "fit",
        "short batch divided by the full size",
        swap(FIT, ('terms["loss"].mean()', 'terms["loss"].sum() / batch_size')),
        "its own size",
    ),
    (
        "fit",
        "no shuffling",
        swap(FIT, ("torch.randperm(len(x), generator=order)", "torch.arange(len(x))")),
        "same order in every epoch",
    ),
    (
        "fit",
        "with replacement",
        swap(
            FIT,
            (
                "torch.randperm(len(x), generator=order)",
                "torch.randint(len(x), (len(x),), generator=order)",
            ),
        ),
        "used",
    ),
    (
        "fit",
        "unseeded",
        swap(FIT, ("len(x), generator=order", "len(x)")),
        "`seed`",
    ),
    ("fit", "adam", swap(FIT, ("RMSprop", "Adam")), "RMSprop"),
    ("fit", "sgd", swap(FIT, ("RMSprop", "SGD")), ""),
    ("fit", "learning rate fixed", swap(FIT, ("lr=learning_rate", "lr=1e-3")), "learning rate"),
    ("fit", "never steps", swap(FIT, ("optimizer.step()", "pass")), "does not move"),
    ("fit", "gradients add up", swap(FIT, ("optimizer.zero_grad()", "pass")), ""),
    (
        "fit",
        "learns from held-out images",
        swap(
            FIT,
            ("    for _ in range(epochs):", "    held = x_held_out\n    for _ in range(epochs):"),
            ("batch = x[rows", "batch = (x if held is None else torch.cat([x, held]))[rows"),
            (
                "torch.randperm(len(x), generator=order)",
                "torch.randperm(len(x) + (0 if held is None else len(held)), generator=order)",
            ),
        ),
        "",
    ),
    (
        "fit",
        "no evaluation before training",
        swap(
            FIT,
            (
                "    if x_held_out is not None:\n"
                '        history["held_out"].append(mean_terms(model, x_held_out))\n    for',
                "    for",
            ),
        ),
        "4 were expected",
    ),
    ("fit", "redraw ignored", swap(FIT, ("batch = redraw(batch, noise)", "pass")), "`redraw`"),
    (
        "fit",
        "tensors in the history",
        swap(FIT, ("terms[name].sum().item()", "terms[name].sum()")),
        "a plain number was expected",
    ),
    ("fit", "returns nothing", swap(FIT, ("    return history", "    return None")), "return"),
    # 19-22, 29: predictions
    (
        "predictive",
        "mu and std",
        swap(PREDICT, ("return model.encode(x)[0]", "return model.encode(x)")),
        "a tuple",
    ),
    (
        "predictive",
        "logits",
        swap(PREDICT, ("torch.sigmoid(model.decode(z))", "model.decode(z)")),
        "logits",
    ),
    (
        "predictive",
        "one draw for all pixels",
        swap(PREDICT, ("torch.rand(p.shape, gen", "torch.rand(len(p), 1, gen")),
        "not drawn independently",
    ),
    (
        "predictive",
        "variance as deviation",
        swap(PREDICT, ("mu + std * torch", "mu + std ** 2 * torch")),
        "not draws from q(z|x)",
    ),
    (
        "predictive",
        "uniform prior",
        swap(PREDICT, ("torch.randn(num_samples", "torch.rand(num_samples")),
        "draws from N(0, I)",
    ),
    (
        "predictive",
        "one code for all",
        swap(
            PREDICT,
            (
                "torch.randn(num_samples, model.latent_dim, generator=generator)",
                "torch.randn(1, model.latent_dim, generator=generator).expand(num_samples, -1)",
            ),
        ),
        "one and the same",
    ),
    (
        "predictive",
        "zeros in place of the prior",
        swap(
            PREDICT,
            (
                "torch.randn(num_samples, model.latent_dim, generator=generator)",
                "torch.zeros(num_samples, model.latent_dim)",
            ),
        ),
        "one and the same",
    ),
    (
        "predictive",
        "samples of another z",
        swap(
            PREDICT,
            (
                "    return prior_predictive_given(model, z, generator)\n\ndef post",
                "    other = torch.randn(z.shape, generator=generator)\n"
                "    return (prior_predictive_given(model, other, generator)[0],\n"
                "            prior_predictive_given(model, z, generator)[1])\n\ndef post",
            ),
        ),
        "do not go with the probabilities",
    ),
    (
        "predictive",
        "graph kept by the prior predictive alone",
        swap(PREDICT, ("    with torch.no_grad():\n        p =", "    if True:\n        p =")),
        "graph",
    ),
    (
        "predictive",
        "graph kept by transform",
        swap(
            PREDICT,
            ("    with torch.no_grad():\n        return", "    if True:\n        return"),
        ),
        "What `transform` gives still holds on to the graph",
    ),
    (
        "predictive",
        "threshold in the posterior alone",
        PREDICT.rpartition("    return")[0]
        + "    p = prior_predictive_given(model, z, generator)[1]\n"
        "    return (p > 0.5).float(), p\n",
        "In the samples of `posterior_predictive`",
    ),
    (
        "predictive",
        "posterior samples of another z",
        PREDICT.rpartition("    with torch.no_grad():")[0] + "    with torch.no_grad():\n"
        "        first, second = (torch.sigmoid(model(x, generator)[0]) for _ in range(2))\n"
        "    return torch.bernoulli(first, generator=generator), second\n",
        "`posterior_predictive` do not go with the probabilities",
    ),
    # 23, 24: the mean of weights
    ("log_mean_exp", "no logarithm", LME + "values.exp().mean(dim)", "logarithm at the end"),
    (
        "log_mean_exp",
        "one maximum for all",
        LME + "(values - values.max()).exp().mean(dim).log() + values.max()",
        "each needs its own",
    ),
    ("log_mean_exp", "dimension 0", LME + "values.logsumexp(0) - math.log(len(values))", ""),
    (
        "log_mean_exp",
        "number of all",
        LME + "values.logsumexp(dim) - math.log(values.numel())",
        "same amount",
    ),
    (
        "log_mean_exp",
        "plus log K",
        LME + "values.logsumexp(dim) + math.log(values.shape[dim])",
        "multiplied",
    ),
    # 25-27: the weights
    ("bound", "no prior", swap(BOUND, ("log_x + log_p - log_q", "log_x - log_q")), ""),
    ("bound", "no proposal", swap(BOUND, ("log_x + log_p - log_q", "log_x + log_p")), ""),
    ("bound", "likelihood only", swap(BOUND, ("log_x + log_p - log_q", "log_x")), "both densities"),
    (
        "bound",
        "one z for all images",
        swap(BOUND, ("(num_samples, *mu.shape)", "(num_samples, 1, mu.shape[1])")),
        "share their noise",
    ),
    (
        "bound",
        "the mean decoded",
        swap(BOUND, ("model.decode(z.reshape(k * b, -1))", "model.decode(mu).repeat(k, 1)")),
        "not p(x)",
    ),
    (
        "bound",
        "not summed over latents",
        swap(
            BOUND,
            (
                "log_p = Normal(0.0, 1.0).log_prob(z).sum",
                "log_p = Normal(0.0, 1.0).log_prob(z).mean",
            ),
        ),
        "",
    ),
    (
        "bound",
        "both averaged over latents",
        swap(
            BOUND,
            ("Normal(0.0, 1.0).log_prob(z).sum", "Normal(0.0, 1.0).log_prob(z).mean"),
            ("Normal(mu, std).log_prob(z).sum", "Normal(mu, std).log_prob(z).mean"),
        ),
        "",
    ),
    (
        "bound",
        "weights, not logs",
        swap(BOUND, ("return log_x", "return torch.exp(log_x"), ("- log_q\n", "- log_q)\n")),
        "their logarithms",
    ),
    (
        "bound",
        "transposed",
        swap(BOUND, ("- log_q\n", "- log_q).T\n"), ("return log_x", "return (log_x")),
        "swapped",
    ),
    ("bound", "no generator", swap(BOUND, (", generator=generator", "")), "generator"),
    (
        "bound",
        "underflow",
        swap(
            BOUND,
            (
                "torch.logsumexp(log_weights, 0) - math.log(len(log_weights))",
                "(log_weights - 20).exp().mean(0).log() + 20",
            ),
        ),
        "",
    ),
]


WORDS = {
    ("binarize", "truth values or whole numbers"): "bool",
    ("binarize", "white at the threshold"): "brightest grey that still counts as black",
    ("binarize", "always single precision"): "keep x's type",
    ("binarize", "the caller's image overwritten"): "`binarize` changes the image",
    ("binarize", "threshold instead of a draw"): "nothing is drawn",
    ("binarize", "generator ignored"): "generator",
    ("mlp", "2 outside the root"): "under the root",
    ("mlp", "variance used as standard deviation"): "that is the variance",
    ("mlp", "no initialisation at all"): "default",
    ("mlp", "uniform instead of normal"): "not drawn from a normal one",
    ("mlp", "biases left as they are"): "Biases",
    ("mlp", "ReLU after the last layer"): "never negative",
    ("log_likelihood", "sigmoid twice"): "applied twice",
    ("log_likelihood", "sigmoid, then logarithm"): "a sigmoid computed on the way",
    ("log_likelihood", "sigmoid, then PyTorch's clamp"): "a sigmoid computed on the way",
    ("log_likelihood", "mean over the pixels"): "7 pixels",
    ("log_likelihood", "mean over the whole batch"): "single number",
    ("log_likelihood", "a loss, with the opposite sign"): "wrong sign",
    ("log_likelihood", "images and logits swapped"): "swapped",
    ("kl", "std taken for log-variance"): "taken for a log-variance",
    ("kl", "std taken for a variance"): "taken for a variance",
    ("kl", "logarithm halved"): "half as large",
    ("kl", "opposite sign"): "never negative",
    ("kl", "mean over the latent dimensions"): "5 latent",
    ("kl", "second dimension instead of the last"): "(2, 3, 5)",
    ("model", "decoder not mirrored"): "order",
    ("model", "encoder half as wide as needed"): "two things",
    ("model", "softplus missing"): "must be positive",
    ("model", "little number missing or inside the softplus"): "can become 0",
    ("model", "softplus taken for a variance"): "does not fall below 0.001",
    ("model", "activation after the encoder"): "never negative",
    ("model", "probabilities instead of logits"): "the sigmoid belongs to the likelihood",
    ("model", "noise times std squared"): "do not scatter",
    ("model", "draw without gradients"): "No gradient reaches",
    ("model", "generator ignored"): "generator",
    ("terms", "the bound as the loss"): "the bound itself",
    ("terms", "divergence subtracted"): "subtracted",
    ("terms", "log-likelihood with its own sign"): "wrong sign",
    ("terms", "sigmoid twice"): "applied twice",
    ("terms", "means over the batch"): "single",
    ("terms", "generator not handed on"): "generator",
    ("fit", "caller's images shuffled"): "shuffled in place",
    ("fit", "last batch dropped"): "last batch",
    ("fit", "sum over the batch minimised"): "the sum",
    ("fit", "order drawn once"): "same order in every epoch",
    ("fit", "steps uphill"): "larger",
    ("fit", "bound in the history"): "wrong sign",
    ("fit", "mean of the batches' means"): "short last batch",
    ("fit", "short batch counted as a full one"): "0.8333 times",
    ("predictive", "transform draws a code"): "a draw in place of the mean",
    ("predictive", "threshold instead of a draw"): "threshold",
    ("predictive", "probabilities as samples"): "nothing is drawn",
    ("predictive", "samples and probabilities swapped"): "the order is the other one",
    ("predictive", "posterior mean decoded"): "decodes the posterior mean",
    ("predictive", "pixels without the generator"): "generator",
    ("predictive", "graph kept"): "graph",
    ("log_mean_exp", "mean of the logarithms"): "mean of the logarithms",
    ("log_mean_exp", "-log K missing"): "not a mean",
    ("log_mean_exp", "exponentials that overflow"): "infinite",
    ("log_mean_exp", "size of the first dimension"): "same amount",
    ("bound", "closed form of the KL in the weights"): "closed form",
    ("bound", "prior and proposal swapped"): "which divides",
    ("bound", "one z for all weights of an image"): "one z is used again and again",
    ("bound", "mean of log w"): "which is the ELBO",
    ("bound", "-log K missing"): "-log K",
}
"""What the check itself observes at a known misconception, beside its message."""


def _id(case):
    return "-".join(case[:2]) if len(case) == 4 else case[0]


@pytest.mark.parametrize("name", EXERCISES)
def test_the_reference_scores_in_full(judged_ps3, name):
    for seed in range(3 if name in SLOW else 10):
        verdict = judged_ps3(name, seed=seed)
        assert verdict.verdict == "pass", (seed, verdict)
        assert verdict.score == verdict.max_score == POINTS[name]


@pytest.mark.long
@pytest.mark.parametrize("name", EXERCISES)
def test_the_reference_scores_in_full_over_many_seeds(judged_ps3, name):
    for seed in range(100, 180):
        assert judged_ps3(name, seed=seed).verdict == "pass", seed


@pytest.mark.parametrize("name", EXERCISES)
def test_criteria_earn_the_points_in_quarters(judged_ps3, name):
    verdict = judged_ps3(name)
    shares = [part.max_score for part in verdict.criteria]
    assert sum(shares) == POINTS[name] and all(4 * share == int(4 * share) for share in shares)


@pytest.mark.parametrize(("name", "source"), RIGHT, ids=map(_id, RIGHT))
def test_another_right_answer_scores_in_full(judged_ps3, name, source):
    for seed in range(1 if name in SLOW else 5):
        verdict = judged_ps3(name, source, seed=seed)
        assert verdict.verdict == "pass", (seed, verdict.message, verdict.detail)


@pytest.mark.parametrize(("name", "mistake", "source", "words"), WRONG, ids=map(_id, WRONG))
def test_a_known_mistake_loses_points_and_is_described(judged_ps3, name, mistake, source, words):
    verdict = judged_ps3(name, source)
    assert verdict.verdict in ("partial", "fail", "error"), verdict
    assert verdict.score < verdict.max_score
    messages = " ".join(part.message for part in verdict.criteria)
    assert words in messages, messages
    assert verdict.message


@pytest.mark.parametrize("one", mistakes("ps3"))
def test_a_misconception_is_named_and_described(judged_ps3, one):
    assert_named(judged_ps3, one.exercise.partition("_")[2], one, WORDS)


@pytest.mark.parametrize("name", EXERCISES)
def test_a_blank_scores_nothing(judged_ps3, name):
    names = {
        "binarize": ["binarize", "binarize_randomly"],
        "predictive": [
            "transform", "prior_predictive_given", "prior_predictive", "posterior_predictive",
        ],
        "bound": ["log_importance_weights", "importance_weighted_bound"],
    }.get(name, [EXERCISES[name].rpartition(".")[2]])  # fmt: skip
    blank = "    raise NotImplementedError()\n"
    source = "\n".join(f"def {solution}(*args, **kwargs):\n{blank}" for solution in names)
    if name == "model":
        source = (
            "class BernoulliVAE(nn.Module):\n    def __init__(self, *args, **kwargs):\n"
            f"        super().__init__()\n    {blank}"
        )
    solutions = [f"vae_course.bernoulli_vae.{solution}" for solution in names]
    verdict = judged_ps3(name, source, solutions=solutions)
    assert (verdict.verdict, verdict.score) == ("blank", 0)


def test_the_untouched_starter_of_find_the_fault_scores_nothing(judged_ps3):
    verdict = judged_ps3("fit", STARTER)
    assert verdict.score == 0
    messages = " ".join(part.message for part in verdict.criteria)
    for words in ("shuffled in place", "last batch", "the sum over the batch", "sign"):
        assert words in messages


FAULTS = {
    "data": [
        ("x[:] = x[torch.randperm(len(x), generator=order)]",
         "shuffled = x[torch.randperm(len(x), generator=order)]"),
        ("batch = x[i", "batch = shuffled[i"),
    ],
    "last batch": [
        ("num_batches = len(x) // batch_size", "num_batches = math.ceil(len(x) / batch_size)"),
    ],
    "sum": [("(-elbo).backward()", '(terms["loss"].mean()).backward()')],
    "history": [
        ("cost += elbo.item() / batch_size", 'cost += terms["loss"].sum().item()'),
        ('nll += terms["nll"].sum().item() / batch_size', 'nll += terms["nll"].sum().item()'),
        ('kl += terms["kl"].sum().item() / batch_size', 'kl += terms["kl"].sum().item()'),
        ('{"loss": cost / num_batches, "nll": nll / num_batches, "kl": kl / num_batches}',
         '{"loss": cost / len(x), "nll": nll / len(x), "kl": kl / len(x)}'),
    ],
}  # fmt: skip


def test_each_fault_that_is_mended_earns_its_share_and_all_earn_all(judged_ps3):
    mended, last = STARTER, 0.0
    for pairs in FAULTS.values():
        mended = swap(mended, *pairs)
        score = judged_ps3("fit", mended).score
        assert score > last
        last = score
    assert last == POINTS["fit"]


def test_a_mistake_in_an_earlier_exercise_costs_nothing_later(judged_ps3):
    wrong_kl = KL + "2 * (0.5 * (mu**2 + std**2 - 1) - std.log()).sum(-1)"
    wrong_terms = swap(TERMS, ("nll + kl", "-(nll + kl)"))
    wrong_model = swap(MODEL, (" + 1e-6", " + 1e-2"))
    wrong_mean = LME + "values.logsumexp(dim)"
    for later, wrong in (
        ("terms", wrong_kl),
        ("fit", wrong_kl),
        ("fit", wrong_terms),
        ("predictive", wrong_model),
        ("bound", wrong_model),
        ("bound", wrong_mean),
    ):
        verdict = judged_ps3(later, wrong)
        assert verdict.verdict == "pass", (later, verdict.message)
