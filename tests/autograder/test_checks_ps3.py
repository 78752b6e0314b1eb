"""The checks of ps3: the reference and other right answers score in full, wrong ones lose points.

The wrong answers are those that students are known to write; each names words of the message it
gets.
"""

import ast
import inspect

import pytest
from known import assert_named, mistakes, right, right_answers, wrong_answers

from autograder.misconceptions import swapped as swap
from autograder.misconceptions.ps3 import (
    AVERAGE,
    BCE,
    BINARIZE,
    BOUND,
    CUT,
    DIVERGENCE,
    DRAW,
    KL,
    LIKELIHOOD,
    LOG_MEAN_EXP,
    MLP,
    MODEL,
    NOISE,
    RATIO,
    SCALE,
    STD,
    TERMS,
)
from vae_course import bernoulli_vae
from vae_course.authoring.assignment import load_assignment

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
"""Its check trains a model, and so takes longest."""


def _given() -> str:
    """The reference's module as a cell: without its imports of other modules of the reference.

    Before it stands the device, as in the notebook.
    """
    tree = ast.parse(inspect.getsource(bernoulli_vae))
    tree.body = [
        node
        for node in tree.body
        if not (isinstance(node, ast.ImportFrom) and str(node.module).startswith("vae_course"))
    ]
    return f'device = torch.device("cpu")\n{ast.unparse(tree)}'


GIVEN = _given()


@pytest.fixture(scope="module")
def judged_ps3(judged):
    """Judge `cells`, written over the reference's answers, on an exercise of ps3."""

    def run(name: str, *cells: str, **settings):
        return judged(f"ps3_{name}", GIVEN, *cells, points=POINTS[name], **settings)

    return run


STARTER = next(e.body for e in load_assignment("ps3").exercises if e.id == "ps3_fit")


DRAWN = right("ps3_binarize", "a comparison with uniform numbers")
LOOP = right("ps3_fit", "a permutation in parts, sums in a dict")
PREDICT = right("ps3_predictive", "one function calls the other")
CODE = "torch.randn(num_samples, model.latent_dim, generator=generator, device=where)"

MANY = """\
            if len(batch) == 1:
                continue
            if redraw"""
ZERO = "noise = torch.Generator(device).manual_seed(0)"

WRONG = [
    # 30 and the like: black and white
    ("binarize", "threshold ignored", swap(BINARIZE, (CUT, "x.gt(0.5).to(x.dtype)")), "of 0.2"),
    ("binarize", "rounded", swap(BINARIZE, (CUT, "x.round()")), "threshold of 0.2"),
    ("binarize", "swapped", swap(BINARIZE, ("x > threshold", "x < threshold")), "swapped"),
    ("binarize", "one draw for all pixels", swap(DRAWN, ("x.shape, ", "len(x), 1, ")), "together"),
    ("binarize", "one draw for all images", swap(DRAWN, ("x.shape, ", "x.shape[1:], ")), "alike"),
    ("binarize", "normal noise", swap(DRAWN, ("torch.rand(", "torch.randn(")), "these shares"),
    ("binarize", "drawn the other way", swap(DRAWN, ("u < x", "u > x")), "shares"),
    (
        "binarize",
        "seeded inside",
        swap(BINARIZE, (f"return {DRAW}", "torch.manual_seed(0)\n    return torch.bernoulli(x)")),
        "every call",
    ),
    (
        "binarize",
        "a threshold of 0 ignored",
        swap(BINARIZE, (CUT, "(x > (threshold or 0.5)).to(x.dtype)")),
        "With a threshold of 0, fewer pixels",
    ),
    ("binarize", "rows, at a threshold", swap(BINARIZE, (CUT, f"({CUT}).flatten(1)")), "shape"),
    ("binarize", "rows, by chance", swap(BINARIZE, (DRAW, f"({DRAW}).flatten(1)")), "(3, 28)"),
    (
        "binarize",
        "one draw for all images of two dimensions",
        swap(DRAWN, ("x.shape, ", "x.shape[-2:], ")),
        "every pixel of every image",
    ),
    (
        "binarize",
        "NumPy's numbers",
        swap(
            BINARIZE,
            (
                f"return {DRAW}",
                "if generator is None:\n        return (torch.tensor(np.random.rand(*x.shape)) < x)"
                f".to(x.dtype)\n    return {DRAW}",
            ),
        ),
        "should come from PyTorch's own generator",
    ),
    (
        "binarize",
        "a seed set by the threshold",
        swap(BINARIZE, (f"return {CUT}", f"torch.manual_seed(0)\n    return {CUT}")),
        "After `binarize` PyTorch's next random",
    ),
    # 8, 9, 10: the network
    ("mlp", "the default weights", swap(MLP, (SCALE, "pass")), "0.408"),
    ("mlp", "biases random", swap(MLP, ("zeros_(layer.bias)", "normal_(layer.bias)")), "Biases"),
    ("mlp", "no relu", swap(MLP, ("nn.ReLU()", "nn.Identity()")), "linear function"),
    ("mlp", "tanh", swap(MLP, ("nn.ReLU()", "nn.Tanh()")), ""),
    ("mlp", "leaky", swap(MLP, ("nn.ReLU()", "nn.LeakyReLU(0.2)")), "else than a ReLU"),
    ("mlp", "slightly leaky", swap(MLP, ("nn.ReLU()", "nn.LeakyReLU()")), "else than a ReLU"),
    (
        "mlp",
        "one relu only",
        swap(MLP, ("if i < len(sizes) - 2", "if i == 0 and len(sizes) > 2")),
        "between every two",
    ),
    ("mlp", "a plain list", swap(MLP, ("nn.Sequential(*layers)", "layers")), "list"),
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
    ("mlp", "cut at 2", swap(MLP, ("init.normal_", "init.trunc_normal_")), "(for 2 inputs)"),
    (
        "mlp",
        "bias counted",
        swap(MLP, ("(2 / sizes[i])", "(2 / (sizes[i] + 1))")),
        "(for 2 inputs)",
    ),
    (
        "mlp",
        "biases frozen",
        swap(
            MLP, ("layers.append(layer)", "layers.append(layer), layer.bias.requires_grad_(False)")
        ),
        "3 of the 6 weight and bias tensors",
    ),
    (
        "mlp",
        "the same numbers for every layer",
        swap(
            MLP,
            ("    layers = []", "    layers, state = [], torch.get_rng_state()"),
            (SCALE, f"torch.set_rng_state(state), {SCALE}"),
        ),
        "Two layers of a network start with the same random numbers",
    ),
    (
        "mlp",
        "the same numbers for every unit",
        swap(
            MLP,
            (
                SCALE,
                "layer.weight.data = (2 / sizes[i]) ** 0.5 * torch.randn(sizes[i])"
                ".repeat(sizes[i + 1], 1)",
            ),
        ),
        "weights of a layer share their draws",
    ),
    (
        "mlp",
        "no relu at the output's width",
        swap(MLP, ("if i < len(sizes) - 2", "if sizes[i + 1] != sizes[-1]")),
        "one width occurs twice",
    ),
    (
        "mlp",
        "no relu at the input's width",
        swap(MLP, ("if i < len(sizes) - 2", "if i < len(sizes) - 2 and sizes[i + 1] != sizes[0]")),
        "one width occurs twice",
    ),
    # 1-5: the likelihood
    (
        "log_likelihood",
        "clamped probabilities",
        swap(
            LIKELIHOOD,
            (
                f"loss = {BCE}",
                "p = torch.sigmoid(logits).clamp(1e-6, 1 - 1e-6)\n"
                "    loss = -torch.distributions.Bernoulli(p).log_prob(x)",
            ),
        ),
        "costs 13.8 nats at a logit of 300, and no more",
    ),
    (
        "log_likelihood",
        "an exponential that overflows",
        swap(LIKELIHOOD, (BCE, "torch.log(1 + torch.exp(logits)) - x * logits")),
        "logits of 300 and -300 the log-likelihood is infinite",
    ),
    (
        "log_likelihood",
        "logits turned in place",
        swap(LIKELIHOOD, (f"loss = {BCE}", "loss = F.softplus(logits.mul_(1 - 2 * x))")),
        "writes into a tensor that it is given",
    ),
    (
        "log_likelihood",
        "two and four dimensions only",
        swap(LIKELIHOOD, ("flatten(1).sum(dim=1)", "sum((1, 2, 3) if x.ndim == 4 else -1)")),
        "(3, 2, 4)",
    ),
    ("log_likelihood", "sum over all", swap(LIKELIHOOD, ("sum(dim=1)", "sum()")), "single number"),
    ("log_likelihood", "detached", swap(LIKELIHOOD, ("-loss", "-loss.detach()")), "No gradient"),
    # 15 and the divergence
    (
        "kl",
        "no constant",
        swap(KL, (DIVERGENCE, "0.5 * (mu**2 + std**2) - torch.log(std)")),
        "same amount",
    ),
    (
        "kl",
        "no mean",
        swap(KL, (DIVERGENCE, "0.5 * (std**2 - 1) - torch.log(std)")),
        "what `mu` does",
    ),
    ("kl", "scalar", swap(KL, ("sum(dim=-1)", "sum()")), "single number"),
    ("kl", "clamped", swap(KL, ("log(std)", "log(std.clamp_min(1e-3))")), "near 0.000001"),
    (
        "kl",
        "log of the product",
        swap(
            KL,
            (" - torch.log(std)", ""),
            ("sum(dim=-1)", "sum(dim=-1) - std.prod(dim=-1).log()"),
        ),
        "infinite",
    ),
    (
        "kl",
        "all but the first dimension",
        swap(KL, (".sum(dim=-1)", ".flatten(1).sum(dim=1)")),
        "(2, 3, 5)",
    ),
    (
        "kl",
        "two and three dimensions only",
        swap(KL, ("sum(dim=-1)", "sum(dim=1 if mu.ndim == 2 else 2)")),
        "(2, 1, 3, 5)",
    ),
    (
        "kl",
        "no dimension in front",
        swap(KL, ("    return", "    if mu.ndim == 1:\n        kl = kl[None]\n    return")),
        "where () was expected",
    ),
    ("kl", "squared in place", swap(KL, ("mu**2", "mu.square_()")), "writes into a tensor"),
    ("kl", "detached", swap(KL, ("log(std)", "log(std.detach())")), "`std`"),
    # 10-14: the model
    ("model", "exp", swap(MODEL, ("F.softplus(", "torch.exp(")), "exponential"),
    ("model", "abs", swap(MODEL, ("F.softplus(", "torch.abs(")), ""),
    ("model", "relu", swap(MODEL, ("F.softplus(", "F.relu(")), "not a softplus"),
    (
        "model",
        "little number on the variance",
        swap(MODEL, (STD, "(F.softplus(raw) ** 2 + 1e-6).sqrt()")),
        "does not fall below 0.001",
    ),
    (
        "model",
        "a variance is returned",
        swap(MODEL, (STD, "F.softplus(raw) ** 2 + 1e-6")),
        "proportion",
    ),
    ("model", "root of it", swap(MODEL, ("std * noise", "std.sqrt() * noise")), "do not scatter"),
    (
        "model",
        "exp of it",
        swap(MODEL, ("std * noise", "(0.5 * std).exp() * noise")),
        "do not scatter",
    ),
    ("model", "nothing drawn", swap(MODEL, ("mu + std * noise", "mu")), "nothing is drawn"),
    ("model", "from the prior", swap(MODEL, ("mu + std * noise", "noise")), "do not scatter"),
    (
        "model",
        "sampled without gradients",
        swap(MODEL, ("mu + std * noise", "Normal(mu, std).sample()")),
        "No gradient reaches",
    ),
    (
        "model",
        "relu on the logits",
        swap(MODEL, ("return self.decoder(z)", "return F.relu(self.decoder(z))")),
        "never negative",
    ),
    (
        "model",
        "tanh on mu",
        swap(MODEL, ("return mu, std", "return torch.tanh(mu), std")),
        "`mu` does not grow",
    ),
    ("model", "not flattened", swap(MODEL, ("x.flatten(1)", "x")), ""),
    ("model", "squeezed", swap(MODEL, ("x.flatten(1)", "x.flatten(1).squeeze()")), ""),
    ("model", "split on the batch", swap(MODEL, ("dim=1)", "dim=0)")), "shape"),
    (
        "model",
        "swapped on return",
        swap(MODEL, ("self.decode(z), mu, std", "self.decode(z), std, mu")),
        "",
    ),
    (
        "model",
        "frozen",
        swap(MODEL, (NOISE, f"        torch.manual_seed(0)\n{NOISE}")),
        "every call",
    ),
    (
        "model",
        "one number for all dimensions",
        swap(MODEL, ("torch.randn(mu.shape", "torch.randn(len(mu), 1")),
        "is one number for a whole row",
    ),
    (
        "model",
        "noise without tails",
        swap(MODEL, ("device=mu.device)", "device=mu.device).clamp(-2, 2)")),
        "not the shape of a normal",
    ),
    (
        "model",
        "no draw in evaluation mode",
        swap(MODEL, ("z = mu + std * noise", "z = mu + std * noise * self.training")),
        "in evaluation mode decodes is the same at every call",
    ),
    (
        "model",
        "NumPy's noise",
        swap(
            MODEL,
            (
                NOISE,
                f"{NOISE}        if generator is None:\n"
                "            noise = torch.tensor(np.random.randn(*mu.shape)).float()\n",
            ),
        ),
        "should come from PyTorch's own generator",
    ),
    (
        "model",
        "the codes changed in place",
        swap(MODEL, ("self.decoder(z)", "self.decoder(z.clamp_(-9, 9).mul_(1.0).add_(1e-3))")),
        "`decode` writes into a tensor",
    ),
    ("model", "std cut off", swap(MODEL, ("std * noise", "std.detach() * noise")), "only one half"),
    (
        "model",
        "sizes fixed",
        swap(MODEL, ("*hidden_sizes,", "200,"), ("*reversed(hidden_sizes)", "200")),
        "",
    ),
    # 6: the terms
    (
        "terms",
        "log-variance's divergence",
        swap(TERMS, ("gaussian_kl_from_std(mu, std)", "gaussian_kl(mu, std)")),
        '"kl" is too large everywhere',
    ),
    (
        "terms",
        "variance's divergence",
        swap(TERMS, ("gaussian_kl_from_std(mu, std)", "gaussian_kl_from_var(mu, std)")),
        '"kl" is too small everywhere',
    ),
    (
        "terms",
        "loss averaged over the batch",
        swap(TERMS, ("loss = nll + kl", "loss = (nll + kl).mean()")),
        "single",
    ),
    ("terms", "kl averaged", swap(TERMS, ("(mu, std)", "(mu, std) / mu.shape[1]")), "5 latent"),
    (
        "terms",
        "a tuple",
        swap(TERMS, ('{"loss": loss, "nll": nll, "kl": kl}', "loss, nll, kl")),
        "a tuple",
    ),
    ("terms", "detached", swap(TERMS, ("nll + kl", "(nll + kl).detach()")), "No grad"),
    ("terms", "kl detached", swap(TERMS, ("nll + kl", "nll + kl.detach()")), "`mu`"),
    (
        "terms",
        "two forward passes",
        swap(
            TERMS,
            ("logits, mu, std = model(x, generator)", "logits = model(x, generator)[0]"),
            ("    kl =", "    _, mu, std = model(x)\n    kl ="),
        ),
        "asked 2 times",
    ),
    (
        "terms",
        "a seed where there is no generator",
        swap(
            TERMS,
            ("model(x, generator)", "model(x, generator or torch.Generator().manual_seed(0))"),
        ),
        "The loss is the same at every call",
    ),
    (
        "terms",
        "images changed in place",
        swap(TERMS, ("    loss =", "    x.mul_(0.5)\n    loss =")),
        "`bernoulli_terms` writes into a tensor",
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
            LOOP, ("range(0, len(x), batch_size)", "range(0, len(x) - batch_size + 1, batch_size)")
        ),
        "last batch",
    ),
    (
        "fit",
        "every sign turned in the history",
        swap(LOOP, ("sums[name] += terms", "sums[name] -= terms")),
        "wrong sign",
    ),
    ("fit", "sum in the history", swap(LOOP, ("total / len(x)", "total")), "10 times"),
    (
        "fit",
        "likelihood still divided by the batch size",
        swap(LOOP, (".sum().item()", '.sum().item() / (1 if name == "loss" else batch_size)')),
        '"nll" of the history is 0.25 times',
    ),
    (
        "fit",
        "divergence still divided by the batch size",
        swap(LOOP, (".sum().item()", '.sum().item() / (batch_size if name == "kl" else 1)')),
        '"kl" of the history is 0.25 times',
    ),
    (
        "fit",
        "an empty last batch",
        swap(
            LOOP,
            ("range(0, len(x), batch_size)", "range(0, len(x) + 1, batch_size)"),
            ("terms[name].sum().item()", "terms[name].mean().item() * len(batch)"),
        ),
        "empty batch",
    ),
    (
        "fit",
        "short batch divided by the full size",
        swap(LOOP, ('terms["loss"].mean()', 'terms["loss"].sum() / batch_size')),
        "its own size",
    ),
    (
        "fit",
        "no shuffling",
        swap(LOOP, ("torch.randperm(len(x), generator=order)", "torch.arange(len(x))")),
        "same order in every epoch",
    ),
    (
        "fit",
        "with replacement",
        swap(
            LOOP,
            (
                "torch.randperm(len(x), generator=order)",
                "torch.randint(len(x), (len(x),), generator=order)",
            ),
        ),
        "used",
    ),
    ("fit", "unseeded", swap(LOOP, ("len(x), generator=order", "len(x)")), "`seed`"),
    (
        "fit",
        "a batch of one skipped",
        swap(LOOP, ("            if redraw", MANY)),
        "one of them is never used",
    ),
    (
        "fit",
        "batches in a new order, and not images",
        swap(
            LOOP,
            (
                "torch.randperm(len(x), generator=order)",
                "torch.cat([torch.arange(len(x)).split(batch_size)[i] for i in "
                "sorted(range(math.ceil(len(x) / batch_size) - (len(x) % batch_size > 0)), "
                "key=lambda _: torch.rand((), generator=order).item())]"
                " + [torch.arange(len(x) - len(x) % batch_size, len(x))])",
            ),
        ),
        "the same images that share a batch",
    ),
    (
        "fit",
        "an optimiser for every epoch",
        swap(
            LOOP,
            (
                "        rows = torch",
                "        optimizer = torch.optim.RMSprop(model.parameters(), lr=learning_rate)\n"
                "        rows = torch",
            ),
        ),
        "the optimiser has lost its memory",
    ),
    (
        "fit",
        "noise seeded in every batch",
        swap(
            LOOP,
            ("            batch = x", "            noise.manual_seed(seed)\n            batch = x"),
        ),
        "very same noise for different batches",
    ),
    (
        "fit",
        "noise from PyTorch's own generator",
        swap(LOOP, ("terms(model, batch, noise)", "terms(model, batch)")),
        "the model draws different noise",
    ),
    (
        "fit",
        "noise that no seed changes",
        swap(LOOP, ("noise = torch.Generator(device).manual_seed(seed)", ZERO)),
        "does not depend on `seed`",
    ),
    (
        "fit",
        "at least one epoch",
        swap(LOOP, ("range(epochs)", "range(max(epochs, 1))")),
        "With 0 epochs",
    ),
    ("fit", "adam", swap(LOOP, ("RMSprop", "Adam")), "RMSprop"),
    ("fit", "sgd", swap(LOOP, ("RMSprop", "SGD")), ""),
    ("fit", "learning rate fixed", swap(LOOP, ("lr=learning_rate", "lr=1e-3")), "learning rate"),
    ("fit", "never steps", swap(LOOP, ("optimizer.step()", "pass")), "does not move"),
    (
        "fit",
        "two steps a batch",
        swap(LOOP, ("optimizer.step()", "optimizer.step(), optimizer.step()")),
        "is there one step a batch",
    ),
    (
        "fit",
        "gradients cleared before the step",
        swap(
            LOOP,
            ("            optimizer.zero_grad()\n", ""),
            ("optimizer.step()", "optimizer.zero_grad(), optimizer.step()"),
        ),
        "does not move",
    ),
    (
        "fit",
        "learns from held-out images",
        swap(
            LOOP,
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
        "in evaluation mode in the end",
        swap(LOOP, ("    return history", "    model.eval()\n    return history")),
        "in evaluation mode after `fit`",
    ),
    (
        "fit",
        "no evaluation before training",
        swap(
            LOOP,
            (
                "    if x_held_out is not None:\n"
                '        history["held_out"].append(mean_terms(model, x_held_out))\n    for',
                "    for",
            ),
        ),
        "4 were expected",
    ),
    ("fit", "redraw ignored", swap(LOOP, ("batch = redraw(batch, noise)", "pass")), "`redraw`"),
    (
        "fit",
        "redraw without the generator",
        swap(LOOP, ("redraw(batch, noise)", "redraw(batch, None)")),
        "which generator",
    ),
    (
        "fit",
        "the caller's images redrawn",
        swap(
            LOOP,
            (
                "batch = redraw(batch, noise)",
                "x[rows[start : start + batch_size]] = batch = redraw(batch, noise)",
            ),
        ),
        "no longer what they were",
    ),
    (
        "fit",
        "history of what was not trained on",
        swap(
            LOOP,
            ("            if redraw", "            plain = batch\n            if redraw"),
            (
                "            for name in sums",
                "            terms = bernoulli_terms(model, plain)\n            for name in sums",
            ),
        ),
        "and not what was trained on",
    ),
    ("fit", "returns nothing", swap(LOOP, ("    return history", "    return None")), "return"),
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
            (CODE, f"{CODE.replace('num_samples', '1')}.expand(num_samples, -1)"),
        ),
        "one and the same",
    ),
    (
        "predictive",
        "zeros in place of the prior",
        swap(PREDICT, (CODE, "torch.zeros(num_samples, model.latent_dim, device=where)")),
        "one and the same",
    ),
    (
        "predictive",
        "samples of another z",
        swap(
            PREDICT,
            (
                "    return prior_predictive_given(model, z, generator)\n\n\ndef post",
                "    other = torch.randn(z.shape, generator=generator, device=where)\n"
                "    return (prior_predictive_given(model, other, generator)[0],\n"
                "            prior_predictive_given(model, z, generator)[1])\n\n\ndef post",
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
    (
        "predictive",
        "gradients off for good",
        swap(
            PREDICT,
            (
                "    with torch.no_grad():\n        return model.encode(x)[0]",
                "    torch.set_grad_enabled(False)\n    return model.encode(x)[0]",
            ),
        ),
        "After `transform` gradients are switched off",
    ),
    (
        "predictive",
        "codes changed in place",
        swap(PREDICT, ("(model.decode(z))", "(model.decode(z.mul_(2).div_(2).add_(1e-6)))")),
        "`prior_predictive_given` writes into a tensor",
    ),
    # 23, 24: the mean of weights
    (
        "log_mean_exp",
        "one maximum for all",
        swap(
            LOG_MEAN_EXP,
            ("torch.logsumexp(values,", "values.max() + (values - values.max()).exp().sum("),
            ("dim=dim) -", "dim=dim).log() -"),
        ),
        "each needs its own",
    ),
    (
        "log_mean_exp",
        "in place",
        swap(
            LOG_MEAN_EXP,
            (
                "    return torch.logsumexp(values, dim=dim)",
                "    top = values.amax(dim)\n"
                "    values -= top.unsqueeze(dim)\n    return top + values.logsumexp(dim)",
            ),
        ),
        "writes into a tensor",
    ),
    (
        "log_mean_exp",
        "every dimension of size one squeezed",
        swap(LOG_MEAN_EXP, ("dim=dim)", "dim=dim).squeeze()")),
        "values of shape (1, 3, 1)",
    ),
    (
        "log_mean_exp",
        "the smallest pulled out",
        swap(
            LOG_MEAN_EXP,
            (
                "torch.logsumexp(values,",
                "values.amin(dim) + (values - values.amin(dim, True)).exp().sum(",
            ),
            ("dim=dim) -", "dim=dim).log() -"),
        ),
        "thousands apart in one row",
    ),
    ("log_mean_exp", "dimension 0", swap(LOG_MEAN_EXP, ("dim=dim", "dim=0")), ""),
    (
        "log_mean_exp",
        "number of all",
        swap(LOG_MEAN_EXP, ("values.shape[dim]", "values.numel()")),
        "same amount",
    ),
    # 25-27: the weights
    ("bound", "no prior", swap(BOUND, (RATIO, "log_x - log_q")), ""),
    ("bound", "no proposal", swap(BOUND, (RATIO, "log_x + log_prior")), ""),
    ("bound", "likelihood only", swap(BOUND, (RATIO, "log_x")), "both densities"),
    (
        "bound",
        "one z for all images",
        swap(BOUND, ("(num_samples, *mu.shape)", "(num_samples, 1, mu.shape[1])")),
        "share their noise",
    ),
    (
        "bound",
        "the mean decoded",
        swap(BOUND, ("model.decode(z.flatten(0, 1))", "model.decode(mu).repeat(num_samples, 1)")),
        "not p(x)",
    ),
    (
        "bound",
        "not summed over latents",
        swap(BOUND, ("1.0).log_prob(z).sum", "1.0).log_prob(z).mean")),
        "",
    ),
    (
        "bound",
        "both averaged over latents",
        swap(BOUND, ("log_prob(z).sum", "log_prob(z).mean")),
        "",
    ),
    ("bound", "transposed", swap(BOUND, (RATIO, f"({RATIO}).T")), "swapped"),
    ("bound", "no generator", swap(BOUND, ("generator=generator, ", "")), "generator"),
    (
        "bound",
        "noise and its opposite",
        swap(
            BOUND,
            (
                "    z = mu",
                "    noise = torch.cat([noise, -noise], 1).view(-1, *mu.shape)[:num_samples]\n"
                "    z = mu",
            ),
        ),
        "are not independent",
    ),
    (
        "bound",
        "thousands of samples only",
        swap(
            BOUND,
            (
                "    mu, std",
                "    num_samples -= num_samples % 1000 if num_samples > 1000 else 0\n    mu, std",
            ),
        ),
        "(4003, 3) was expected",
    ),
    ("bound", "cut off", swap(BOUND, (RATIO, f"({RATIO}).clamp(min=-100)")), "of 400 pixels"),
    (
        "bound",
        "out of the logarithms",
        swap(BOUND, (AVERAGE, "log_weights.exp().mean(0).log()")),
        "with logarithms around -600 is infinite",
    ),
    (
        "bound",
        "never above zero",
        swap(BOUND, (AVERAGE, f"{AVERAGE}.clamp(max=0)")),
        "with logarithms around 8 is zero",
    ),
    (
        "bound",
        "weights changed in place",
        swap(BOUND, (AVERAGE, f"{AVERAGE} + 0 * log_weights.sub_(1).mean(0)")),
        "`importance_weighted_bound` writes into a tensor",
    ),
    (
        "bound",
        "underflow",
        swap(BOUND, (AVERAGE, "(log_weights - 20).exp().mean(0).log() + 20")),
        "",
    ),
]


WORDS = {
    ("binarize", "truth values or whole numbers"): "bool",
    ("binarize", "white at the threshold"): "brightest grey that still counts as black",
    ("binarize", "always single precision"): "keep x's type",
    ("binarize", "the caller's image overwritten"): "`binarize` writes into a tensor",
    ("binarize", "threshold instead of a draw"): "the same picture",
    ("binarize", "generator ignored"): "generator",
    ("binarize", "numbers drawn on the CPU"): "makes a tensor on the CPU",
    ("mlp", "2 outside the root"): "1.41 (for 120 inputs)",
    ("mlp", "variance used as standard deviation"): "(for 120 inputs)",
    ("mlp", "no initialisation at all"): "(for 120 inputs)",
    ("mlp", "uniform instead of normal"): "not drawn from a normal one",
    ("mlp", "biases left as they are"): "Biases",
    ("mlp", "ReLU after the last layer"): "never negative",
    ("mlp", "2 missing"): "0.707 (for 120 inputs)",
    ("log_likelihood", "sigmoid twice"): "wrong everywhere",
    ("log_likelihood", "sigmoid, then logarithm"): "a probability computed on the way",
    ("log_likelihood", "sigmoid, then PyTorch's clamp"): "a probability computed on the way",
    ("log_likelihood", "mean over the pixels"): "7 pixels",
    ("log_likelihood", "mean over the whole batch"): "single number",
    ("log_likelihood", "a loss, with the opposite sign"): "wrong sign",
    ("log_likelihood", "images and logits swapped"): "wrong everywhere",
    ("log_likelihood", "white pixels only"): "too large everywhere",
    ("log_likelihood", "squared error"): "too large everywhere",
    ("kl", "std taken for a variance"): "look at what `std` does",
    ("kl", "logarithm halved"): "look at what `std` does",
    ("kl", "opposite sign"): "wrong sign",
    ("kl", "mean over the latent dimensions"): "5 latent",
    ("kl", "second dimension instead of the last"): "(2, 3, 5)",
    ("kl", "logarithm counted twice"): "look at what `std` does",
    ("kl", "logarithm with the opposite sign"): "look at what `std` does",
    ("kl", "posterior and prior swapped"): "look at what `std` does",
    ("kl", "prior made on the CPU"): "makes a tensor on the CPU",
    ("model", "decoder not mirrored"): "parameters",
    ("model", "encoder half as wide as needed"): "fewer than the table",
    ("model", "softplus missing"): "must be positive",
    ("model", "little number missing or inside the softplus"): "can become 0",
    ("model", "softplus taken for a variance"): "does not fall below 0.001",
    ("model", "activation after the encoder"): "never negative",
    ("model", "probabilities instead of logits"): "the sigmoid belongs to the likelihood",
    ("model", "noise times std squared"): "do not scatter",
    ("model", "draw without gradients"): "No gradient reaches",
    ("model", "generator ignored"): "generator",
    ("model", "mu and std from the same numbers"): "fewer than the table",
    ("model", "drawn by torch.normal"): "has no path back to them",
    ("model", "noise made on the CPU"): "makes a tensor on the CPU",
    ("terms", "the bound as the loss"): '"loss" has the right size and the wrong sign',
    ("terms", "divergence subtracted"): '"loss" is too small everywhere',
    ("terms", "log-likelihood with its own sign"): "wrong sign",
    ("terms", "sigmoid twice"): '"nll" is too small everywhere',
    ("terms", "means over the batch"): "single",
    ("terms", "generator not handed on"): "generator",
    ("terms", "images and logits swapped"): '"nll" is wrong',
    ("fit", "caller's images shuffled"): "shuffled in place",
    ("fit", "last batch dropped"): "last batch",
    ("fit", "sum over the batch minimised"): "the sum",
    ("fit", "order drawn once"): "same order in every epoch",
    ("fit", "steps uphill"): "larger",
    ("fit", "bound in the history"): "wrong sign",
    ("fit", "mean of the batches' means"): "short last batch",
    ("fit", "short batch counted as a full one"): "0.8333 times",
    ("fit", "gradients never cleared"): "still there when the next one comes",
    ("fit", "one step an epoch"): "In an epoch of 3 batches the optimiser takes one step",
    ("fit", "held-out images redrawn"): "held-out images changes too",
    ("fit", "redrawn once for all epochs"): "of 60 stay black",
    ("fit", "left in evaluation mode"): "In which mode",
    ("fit", "graph kept in the history"): "a plain number was expected",
    ("fit", "images left on the CPU"): "a generator that belongs to the other",
    ("fit", "noise from the CPU"): "a generator that belongs to the other",
    ("predictive", "transform draws a code"): "other codes at each call",
    ("predictive", "threshold instead of a draw"): "threshold",
    ("predictive", "probabilities as samples"): "nothing is drawn",
    ("predictive", "samples and probabilities swapped"): "the order is the other one",
    ("predictive", "posterior mean decoded"): "the same probabilities for an image",
    ("predictive", "pixels without the generator"): "generator",
    ("predictive", "graph kept"): "graph",
    ("predictive", "code drawn on the CPU"): "makes a tensor on the CPU",
    ("log_mean_exp", "mean of the logarithms"): "too small everywhere",
    ("log_mean_exp", "-log K missing"): "same amount",
    ("log_mean_exp", "exponentials that overflow"): "infinite",
    ("log_mean_exp", "size of the first dimension"): "same amount",
    ("log_mean_exp", "log K added"): "same amount",
    ("bound", "closed form of the KL in the weights"): "does not depend on z",
    ("bound", "prior and proposal swapped"): "has the wrong sign on average",
    ("bound", "one z for all weights of an image"): "one z is used again and again",
    ("bound", "mean of log w"): "too small everywhere",
    ("bound", "-log K missing"): "same amount",
    ("bound", "weights instead of their logarithms"): "too large everywhere",
    ("bound", "noise made on the CPU"): "makes a tensor on the CPU",
}
"""What the check itself observes at a known misconception, beside its message."""


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


@pytest.mark.parametrize(("name", "source"), right_answers("ps3", SLOW))
def test_another_right_answer_scores_in_full(judged_ps3, name, source):
    for seed in range(1 if name in SLOW else 5):
        verdict = judged_ps3(name, source, seed=seed)
        assert verdict.verdict == "pass", (seed, verdict.message, verdict.detail)


@pytest.mark.parametrize(("name", "mistake", "source", "words"), wrong_answers(WRONG, SLOW))
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
    wrong_kl = swap(KL, ("kl.sum", "2 * kl.sum"))
    wrong_terms = swap(TERMS, ("nll + kl", "-(nll + kl)"))
    wrong_model = swap(MODEL, (" + 1e-6", " + 1e-2"))
    wrong_mean = swap(LOG_MEAN_EXP, (" - math.log(values.shape[dim])", ""))
    in_place = swap(LOG_MEAN_EXP, ("return torch", "values -= 1\n    return 1 + torch"))
    own_noise = swap(TERMS, ("model(x, generator)", "model(x)"))
    for later, wrong in (
        ("terms", wrong_kl),
        ("fit", wrong_kl),
        ("fit", wrong_terms),
        ("predictive", wrong_model),
        ("bound", wrong_model),
        ("bound", wrong_mean),
        ("bound", in_place),
        ("fit", own_noise),
    ):
        verdict = judged_ps3(later, wrong)
        assert verdict.verdict == "pass", (later, verdict.message)
