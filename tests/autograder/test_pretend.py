"""The pretended GPU: the CPU's numbers, CUDA's refusals, and nothing left of it afterwards."""

import copy
import gc
import io
import linecache
import textwrap

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.distributions import Bernoulli, Categorical, Normal, kl_divergence
from torch.utils.data import DataLoader, TensorDataset

from autograder.pretend import (
    DeviceMismatch,
    default_device,
    gpu,
    is_about_devices,
    place,
    pretend_gpu,
    to_gpu,
)


class Net(nn.Module):
    """A little of everything that a VAE is made of."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Sequential(
            nn.Conv2d(1, 4, 4, 2, 1), nn.BatchNorm2d(4), nn.LeakyReLU(0.2), nn.Dropout(0.3)
        )
        self.code = nn.Linear(4 * 4 * 4, 6)
        self.up = nn.Sequential(
            nn.Linear(3, 64), nn.ReLU(), nn.Unflatten(1, (4, 4, 4)),
            nn.ConvTranspose2d(4, 1, 4, 2, 1), nn.Sigmoid(),
        )  # fmt: skip
        self.register_buffer("scale", torch.full((3,), 0.5))

    def forward(self, x):
        mu, log_var = self.code(self.down(x).flatten(1)).chunk(2, dim=1)
        eps = torch.randn(mu.shape, device=mu.device)
        return self.up(self.scale * (mu + eps * (0.5 * log_var).exp())), mu, log_var


def net_and_images(device):
    torch.manual_seed(1)
    net = Net()  # before the images, and on the CPU, as in a notebook
    return net, torch.rand(12, 1, 8, 8).to(device)


def loss_of(net, x):
    x_hat, mu, log_var = net(x)
    kl = 0.5 * (mu**2 + log_var.exp() - 1 - log_var).sum()
    return F.binary_cross_entropy(x_hat, x, reduction="sum") + kl


def trained(device, make, before=False, **settings):
    net, x = net_and_images(device)
    if not before:
        net.to(device)
    optimizer = make(net.parameters(), lr=0.01, **settings)
    net.to(device)
    losses = []
    for _ in range(4):
        optimizer.zero_grad()
        loss = loss_of(net, x)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return torch.tensor(losses), *net.state_dict().values(), *[p.grad for p in net.parameters()]


def program(function):
    PROGRAMS[function.__name__] = function
    return function


PROGRAMS = {}
for name, make, settings in (
    ("adam", torch.optim.Adam, {"foreach": True}),
    ("adam_single", torch.optim.Adam, {"foreach": False}),
    ("adam_fused", torch.optim.Adam, {"fused": True}),
    ("adamw_amsgrad", torch.optim.AdamW, {"amsgrad": True, "foreach": True}),
    ("rmsprop", torch.optim.RMSprop, {"foreach": True, "momentum": 0.5}),
    ("rmsprop_single", torch.optim.RMSprop, {"foreach": False}),
    ("sgd", torch.optim.SGD, {"momentum": 0.9, "foreach": True}),
    ("sgd_fused", torch.optim.SGD, {"fused": True}),
):

    def run(device, make=make, settings=settings):
        return trained(device, make, **settings)

    def run_before(device, make=make, settings=settings):
        return trained(device, make, before=True, **settings)

    PROGRAMS[name], PROGRAMS[f"{name}_made_before_the_move"] = run, run_before


@program
def default_adam(device):
    # On a GPU it is the foreach one; its steps are those of the loop.
    return trained(device, torch.optim.Adam)


@program
def default_rmsprop(device):
    return trained(device, torch.optim.RMSprop)


@program
def evaluated(device):
    net, x = net_and_images(device)
    net.to(device)
    net(x)
    net.eval()
    with torch.no_grad():
        first = net(x)
    with torch.inference_mode():
        return *first, *net(x)


@program
def loaded(device):
    net, x = net_and_images(device)
    state = copy.deepcopy(net.state_dict())
    net.to(device)
    loss_of(net, x).backward()
    net.load_state_dict({name: value * 0.5 for name, value in state.items()})
    other = Net().to(device)
    other.load_state_dict(net.state_dict())
    twin = copy.deepcopy(other)
    return *loss_of(twin.eval(), x)[None], *twin.state_dict().values()


@program
def saved_and_read(device):
    net, x = net_and_images(device)
    net.to(device)
    file = io.BytesIO()
    torch.save(net.state_dict(), file)
    file.seek(0)
    net.load_state_dict(torch.load(file, map_location=device, weights_only=True))
    file.seek(0)
    values = torch.load(file, map_location=device, weights_only=True)
    return *net(x), values["scale"] * torch.ones(3, device=device)


@program
def optimizer_saved_and_read(device):
    net, x = net_and_images(device)
    net.to(device)
    optimizer = torch.optim.Adam(net.parameters(), foreach=True)
    loss_of(net, x).backward()
    optimizer.step()
    other = torch.optim.Adam(net.parameters(), foreach=True)
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    other.step()
    return tuple(net.parameters())


@program
def batches(device):
    data = TensorDataset(torch.rand(10, 3), torch.arange(10))
    loader = DataLoader(
        data, 4, shuffle=True, generator=torch.Generator().manual_seed(3), pin_memory=True
    )
    total = torch.zeros(3, device=device)
    for x, y in loader:
        total += x.to(device, non_blocking=True).sum(0) * y.to(device).float().mean()
    return (total,)


@program
def distributions(device):
    mu, std = torch.randn(4, 3).to(device), torch.rand(4, 3).to(device) + 0.1
    mu.requires_grad_()
    q, p = Normal(mu, std), Normal(torch.zeros_like(mu), 1.0)
    z = q.rsample((5,))
    value = q.log_prob(z).sum() - p.log_prob(z).sum() + kl_divergence(q, p).sum()
    value = value + Normal(torch.tensor(0.0), torch.tensor(1.0)).log_prob(z).sum()
    (gradient,) = torch.autograd.grad(value, mu)
    coins = Bernoulli(logits=mu.detach()).sample()
    kinds = Categorical(logits=mu.detach()).sample()
    return value, gradient, coins, kinds


@program
def indices(device):
    x = torch.randn(6, 4).to(device)
    order = torch.randperm(6)
    mask = x > 0
    y = x[order].clone()
    y[torch.tensor([0, 2])] = 0.0
    y[mask] = 1.0
    y[[3, 4]] = 2.0
    y[:, [1]] -= x[[0, 1, 2, 3, 4, 5]][:, torch.tensor([1])]
    y[0] = torch.arange(4.0)
    y[1, 2] += 3
    picked = torch.cat([y[order.to(device)], x[:, torch.tensor([1, 3])].repeat(1, 2)])
    picked.index_add_(0, torch.tensor([1, 2], device=device), torch.ones(2, 4, device=device))
    return picked, x[mask], x.gather(1, torch.zeros(6, 1, dtype=torch.long, device=device))


@program
def gradients(device):
    x = torch.randn(3, 4).to(device).requires_grad_()
    w = torch.randn(4, 4, device=device, requires_grad=True)
    y = x @ w
    loss = y[1:, [0, 2]].exp().sum() + y.max(dim=1).values.sum() + F.pad(y, (1, 2)).std()
    loss = loss + y.sort(dim=0).values[0].sum() + y.double().mean().float()
    first, second = torch.autograd.grad(loss, (x, w), create_graph=True)
    second.square().sum().backward()
    return loss, first, second, x.grad, w.grad


@program
def there_and_back(device):
    # Whole numbers: their sum does not depend on the order in which gradients arrive.
    x = torch.arange(12.0).view(3, 4).requires_grad_()
    y = x.to(device) * torch.tensor([1.0, 2.0, 3.0, 4.0]).to(device)
    loss = (y**2).sum() + (y.cpu()[1:] ** 3).sum().to(device, torch.float64)
    (first,) = torch.autograd.grad(loss, x, create_graph=True)
    first.sum().backward()
    return loss, first.to(device), x.grad.to(device)


@program
def factories(device):
    like = torch.ones(2, 3, device=device)
    whole = [
        torch.zeros(2, 3, device=device), torch.full((2, 3), 2.0, device=device),
        torch.tensor([[1.0, 2.0, 3.0]], device=device), torch.eye(2, 3, device=device),
        torch.arange(3.0, device=device), torch.linspace(0, 1, 3, device=device),
        torch.rand(2, 3, device=device), torch.empty(2, 3, device=device).normal_(),
        torch.as_tensor([1.0, 2.0, 3.0], device=device), torch.as_tensor(2.5, device=device),
        torch.randn_like(like), torch.zeros_like(like), like.new_zeros(3), like.new_tensor([1.0]),
        like.new(2, 3).fill_(1), like.new([1.0]), torch.tensor(like.tolist()).to(like),
        torch.from_numpy(np.ones((2, 3), np.float32)).to(device), torch.tensor(like[0]),
        torch.rand(2, 3).type_as(like), torch.scalar_tensor(3.0, device=device),
    ]  # fmt: skip
    return (sum(whole, like),)


@program
def composed(device):
    x = torch.rand(4, 6).to(device)
    labels = torch.tensor([0, 1, 2, 1]).to(device)
    heads = [
        F.one_hot(labels, 6).float(), torch.where(x > 0.5, x, 0.0), torch.cdist(x, x) @ x,
        torch.clamp(x, min=torch.tensor(0.2)), torch.logsumexp(x, 1, keepdim=True).expand(4, 6),
        torch.einsum("ij,kj->ik", x, x) @ x, x.softmax(1), torch.tril(x), x.cumsum(1),
        F.gumbel_softmax(x, hard=True), torch.stack([x, x]).mean(0), F.embedding(labels, x),
        torch.linalg.svd(x, full_matrices=False).Vh, F.layer_norm(x, (6,)), x.roll(1, 0),
        torch.meshgrid(x[:, 0], x[0], indexing="ij")[0], x.unique()[:6], x.unfold(1, 6, 6)[:, 0],
        F.interpolate(x[None, None], scale_factor=2)[0, 0, :4, :6], torch.bernoulli(x),
    ]  # fmt: skip
    losses = [
        F.cross_entropy(x, labels), F.mse_loss(x, x.flip(0)), F.kl_div(x.log(), x.flip(0)),
        F.gaussian_nll_loss(x, x.flip(0), x + 1), F.binary_cross_entropy_with_logits(x, x),
        F.binary_cross_entropy_with_logits(x, x, pos_weight=torch.ones(6, device=device)),
    ]  # fmt: skip
    return sum(heads), sum(losses), torch.multinomial(x, 2), torch.nonzero(x > 0.5)


@program
def recurrent(device):
    net = nn.GRU(3, 4, batch_first=True).to(device)
    attention = nn.MultiheadAttention(4, 2, batch_first=True).to(device)
    out, _ = net(torch.rand(2, 5, 3).to(device))
    out, _ = attention(out, out, out)
    out.sum().backward()
    return out, *[p.grad for p in net.parameters()]


@program
def own_function(device):
    class Double(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, gradient):
            return gradient * torch.full_like(gradient, 2)

    x = torch.rand(3).to(device).requires_grad_()
    x.register_hook(lambda gradient: gradient + 1)
    Double.apply(x).sum().backward()
    return (x.grad,)


@program
def made_under_a_default(device):
    with torch.device(device):
        layer = nn.Linear(3, 2)
        x = torch.rand(4, 3)
    return (layer(x),)


@program
def generator(device):
    source = torch.Generator(device=device).manual_seed(3)
    again = torch.Generator(device)
    again.set_state(source.get_state())
    w = nn.Parameter(torch.empty(3, 3, device=device))
    nn.init.normal_(w)
    noise = torch.randn(3, 3, generator=source, device=device)
    order = torch.randperm(3, generator=again, device=device)
    coins = torch.bernoulli(w.detach().sigmoid(), generator=source)
    return noise @ w, order, coins.uniform_(generator=again)


@program
def mixed_precision(device):
    net, x = net_and_images(device)
    net.to(device)
    with torch.autocast(device.split(":")[0], enabled=False):
        return net(x)


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_numbers_are_those_of_the_cpu(name):
    torch.manual_seed(0)
    wanted = [value.detach() for value in PROGRAMS[name]("cpu")]
    with pretend_gpu():
        torch.manual_seed(0)
        found = [value.detach() for value in PROGRAMS[name]("cuda")]
        places = [place(value) for value in found if value.dim()]
    assert set(places[1 if "adam" in name or "sgd" in name or "rms" in name else 0 :]) <= {"gpu"}
    assert len(found) == len(wanted)
    for one, other in zip(found, wanted, strict=True):
        assert type(one) is torch.Tensor and torch.equal(one, other)


# The line that is named ends in "# here".
BUGS = {
    "noise": """
        def f(x):
            eps = torch.randn(x.shape)  # here
            return x + eps
        """,
    "noise through several steps": """
        def f(x):
            eps = torch.randn(3).mul(2)  # here
            eps = eps.view(1, 3) + 1
            return x * eps.expand(2, 3)
        """,
    "legacy constructor": """
        def f(x):
            eps = torch.FloatTensor(2, 3).normal_()  # here
            return x + eps
        """,
    "from a list": """
        def f(x):
            weights = torch.tensor([1.0, 2.0, 3.0])  # here
            return x * weights
        """,
    "from numpy": """
        def f(x):
            weights = torch.from_numpy(np.ones(3))
            return x * weights  # here
        """,
    "brought back to the CPU": """
        def f(x):
            mean = x.mean(0).cpu()  # here
            return x - mean
        """,
    "a layer made on the way": """
        def f(x):
            layer = nn.Linear(3, 2)  # here
            return layer(x)
        """,
    "numpy": """
        def f(x):
            return x.sum(0).numpy()  # here
        """,
    "numpy by itself": """
        def f(x):
            return np.exp(x)  # here
        """,
    "the CPU's generator": """
        def f(x):
            source = torch.Generator().manual_seed(0)
            return torch.randn(3, generator=source, device=x.device)  # here
        """,
    "a generator's state": """
        def f(x):
            source = torch.Generator(x.device)
            state = source.get_state().to(x.device)
            source.set_state(state)  # here
            return torch.randn(3, generator=source, device=x.device)
        """,
    "a total": """
        def f(x):
            total = torch.zeros(())  # here
            total += x.sum()
            return total
        """,
    "a target": """
        def f(x):
            target = torch.ones(2, 3)  # here
            return F.mse_loss(x, target)
        """,
    "a list of two kinds": """
        def f(x):
            start = torch.zeros(1, 3)  # here
            return torch.cat([start, x])
        """,
    "an index of the GPU's": """
        def f(x):
            data = torch.randn(5, 3)  # here
            return data[x.argmax(1)]
        """,
    "gather": """
        def f(x):
            index = torch.zeros(2, 1, dtype=torch.long)  # here
            return x.gather(1, index)
        """,
    "a result in place": """
        def f(x):
            out = torch.empty(2, 3)  # here
            torch.add(x, 1, out=out)
            return out
        """,
    "a prior of two numbers": """
        def f(x):
            prior = Normal(torch.zeros(3), torch.ones(3))  # here
            return prior.log_prob(x)
        """,
    "the CPU by name": """
        def f(x):
            eps = torch.zeros_like(x, device="cpu")  # here
            return x + eps
        """,
    "no buffer": """
        class M(nn.Module):
            def __init__(self):
                super().__init__()
                self.layer = nn.Linear(3, 3)
                self.mean = torch.zeros(3)  # here
            def forward(self, x):
                return self.layer(x) - self.mean
        def f(x):
            return M().to("cuda")(x)
        """,
    "an optimiser of other parameters": """
        def f(x):
            layer = nn.Linear(3, 3).to(x.device)
            optimizer = torch.optim.Adam(layer.parameters())
            layer(x).sum().backward()
            optimizer.step()
            for group in optimizer.param_groups:
                group["lr"] = 0.1
            average = [torch.zeros(3, 3), torch.zeros(3)]  # here
            return [a.lerp(p, 0.5) for a, p in zip(average, layer.parameters())]
        """,
}

RIGHT = {
    "item, tolist, print, float, comparison": """
        def f(x):
            print(x, x[0, 0], f"{x.sum():.3f}", repr(x))
            assert float(x.abs().sum()) >= 0 and bool(x.isfinite().all()) and len(x) == 2
            return torch.tensor(x.tolist()).to(x) * x.sum().item() + int(x.argmax())
        """,
    "cpu and numpy": """
        def f(x):
            array = x.detach().cpu().numpy()
            assert np.asarray(x.cpu()).shape == (2, 3) and x.numpy(force=True).shape == (2, 3)
            return torch.from_numpy(array).to(x.device) + x
        """,
    "the usual line": """
        def f(x):
            device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
            return torch.randn(2, 3).to(device) + x + torch.ones(3, device=device)
        """,
    "the usual line with strings": """
        def f(x):
            device = "cuda:0" if torch.cuda.is_available() else "cpu"
            assert x.device == torch.device(device) and str(x.device) == "cuda:0"
            return torch.randn(2, 3, device=device) + x
        """,
    "the accelerator": """
        def f(x):
            device = "cpu"
            if torch.accelerator.is_available():
                device = torch.accelerator.current_accelerator()
            return torch.randn(2, 3, device=device) + x
        """,
    "cuda()": """
        def f(x):
            layer = nn.Linear(3, 3).cuda()
            assert x.is_cuda and not x.is_cpu and x.get_device() == 0
            return layer(x) + torch.ones(3).cuda() + torch.ones(3).cuda(0)
        """,
    "where another tensor is": """
        def f(x):
            y = torch.randn(2, 3).to(x) + torch.zeros(3, device=x.device)
            return x + y + torch.ones(3).to(x.device) + torch.full_like(x, 2) + x.new_ones(3)
        """,
    "numbers as tensors": """
        def f(x):
            scale = torch.tensor(2.0)
            return torch.where(x > torch.tensor(0.0), x, scale) / scale.sqrt() - torch.pi
        """,
    "old idioms": """
        def f(x):
            from torch.autograd import Variable
            eps = Variable(x.data.new(x.size()).normal_())
            return eps.mul(x).add_(x)
        """,
    "a layer and its optimiser": """
        def f(x):
            layer = nn.Linear(3, 3)
            optimizer = torch.optim.Adam(layer.parameters())
            schedule = torch.optim.lr_scheduler.StepLR(optimizer, 1)
            layer.to(x.device)
            layer(x).sum().backward()
            nn.utils.clip_grad_norm_(layer.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            return layer(x)
        """,
    "a loop over batches": """
        def f(x):
            data = torch.randn(10, 3)
            totals, seen = 0.0, []
            for i in torch.randperm(10).split(4):
                batch = data[i].to(x.device)
                loss = (batch * x[0]).sum()
                totals += loss.item()
                seen.append(loss.detach())
            return torch.stack(seen), torch.tensor(totals, device=x.device)
        """,
    "seeds": """
        def f(x):
            torch.manual_seed(0), torch.cuda.manual_seed(0), torch.cuda.manual_seed_all(0)
            torch.cuda.synchronize(), torch.cuda.empty_cache()
            with torch.random.fork_rng():
                return torch.randn_like(x)
        """,
    "on both sides": """
        def f(x):
            here = x.cpu()
            y = here * torch.randn(2, 3) - torch.zeros(3)
            x[0] = y[0]
            x.copy_(y)
            return x, y.to(x.device)
        """,
    "a buffer": """
        class M(nn.Module):
            def __init__(self):
                super().__init__()
                self.layer = nn.Linear(3, 3)
                self.register_buffer("mean", torch.zeros(3))
                self.register_buffer("std", torch.ones(3), persistent=False)
                self.bound = torch.tensor(3.0)
            def forward(self, x):
                return ((self.layer(x) - self.mean) / self.std).clamp(max=self.bound)
        def f(x):
            return M().to("cuda")(x)
        """,
}


def defined(source, name):
    """The function f of a snippet, and its lines."""
    source = textwrap.dedent(source)
    names = {"torch": torch, "nn": nn, "F": F, "np": np, "Normal": Normal, "__name__": "__main__"}
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    exec(compile(source, name, "exec"), names)
    return names["f"], names, source.splitlines()


def line_of(error, names):
    """The number of the line that an exception names."""
    made = getattr(error, "made", None)
    if made is not None and made.names is names:
        return made.line
    trace, found = error.__traceback__, None
    while trace is not None:
        found = trace.tb_lineno if trace.tb_frame.f_globals is names else found
        trace = trace.tb_next
    return found


@pytest.mark.parametrize("name", BUGS)
def test_what_stays_on_the_cpu_is_named(name):
    f, names, lines = defined(BUGS[name], f"<bug {name}>")
    x = torch.randn(2, 3)
    if "other" not in name and ".to(" not in BUGS[name]:
        f(x.clone())  # it works on the CPU
    with pretend_gpu(), pytest.raises((RuntimeError, TypeError)) as caught:
        f(to_gpu(x))
    assert is_about_devices(str(caught.value))
    assert lines[line_of(caught.value, names) - 1].endswith("# here")
    assert isinstance(caught.value, TypeError if "numpy" == name[:5] else DeviceMismatch)


@pytest.mark.parametrize("name", RIGHT)
def test_what_is_right_raises_no_alarm(name):
    f, _, _ = defined(RIGHT[name], f"<right {name}>")
    with pretend_gpu():
        result = f(to_gpu(torch.randn(2, 3)))
        for tensor in result if isinstance(result, tuple) else (result,):
            assert place(tensor) == "gpu"


def looked_at():
    """What a pretence changes in PyTorch."""
    modes = torch._C._len_torch_function_stack(), torch._C._len_torch_dispatch_stack()
    names = ("is_available", "device_count", "manual_seed_all", "default_generators")
    return (
        [getattr(torch.cuda, name) for name in names],
        torch.accelerator.is_available,
        torch.Generator,
        torch.load,
        default_device(),
        modes,
    )


@pytest.mark.parametrize("fails", [False, True])
def test_nothing_is_left_of_it(fails):
    net, x = Net(), torch.rand(4, 1, 8, 8)
    optimizer = torch.optim.Adam(net.parameters())
    parameters, before = list(net.parameters()), looked_at()
    try:
        with pretend_gpu():
            net.to("cuda")
            loss_of(net, x.to("cuda")).backward()
            optimizer.step()
            if fails:
                net(x)
    except DeviceMismatch:
        assert fails
    assert looked_at() == before and not torch.cuda.is_available()
    held = optimizer.param_groups[0]["params"]
    for one, other, parameter in zip(parameters, held, net.parameters(), strict=True):
        assert one is other is parameter and type(one) is nn.Parameter
        assert type(one.data) is torch.Tensor and one.device.type == one.grad.device.type == "cpu"
    loss_of(net, x).backward()
    optimizer.step()
    assert torch.zeros(2).device.type == "cpu"
    with pretend_gpu():
        assert {place(parameter) for parameter in net.parameters()} == {"cpu"}


def test_a_default_device_is_put_back():
    torch.set_default_device("cpu")
    try:
        with pretend_gpu():
            torch.set_default_device("cuda")
            assert place(torch.zeros(2)) == "gpu" and torch.get_default_device().type == "cuda"
        assert default_device().type == "cpu" and torch.zeros(2).device.type == "cpu"
    finally:
        torch.set_default_device(None)


def test_what_was_made_there_is_an_ordinary_tensor_afterwards():
    with pretend_gpu():
        kept, source = torch.ones(3, device="cuda"), torch.Generator("cuda")
    assert kept.device.type == "cpu" and torch.equal(kept + torch.ones(3), torch.full((3,), 2.0))
    assert kept.numpy().sum() == 3
    assert torch.randn(2, generator=source).shape == (2,)


def test_a_gpu_that_is_there_is_used():
    with pretend_gpu(), gpu() as tags:
        assert tags is None  # it takes the pretended one for real


def test_the_words_of_a_real_gpu_are_understood():
    with pretend_gpu(), pytest.raises(DeviceMismatch, match="two devices") as caught, gpu():
        words = "Expected all tensors to be on the same device, but found at least two devices"
        raise RuntimeError(f"{words}, cuda:0 and cpu! (when checking argument mat1)")
    assert caught.value.made is None
    with pretend_gpu(), pytest.raises(RuntimeError, match="other") as caught, gpu():
        raise RuntimeError("other")
    assert not isinstance(caught.value, DeviceMismatch)


def test_the_garbage_collector_changes_nothing():
    net = Net()
    with pretend_gpu():
        net.to("cuda")
        for _ in range(3):
            torch.save(net.state_dict(), io.BytesIO())  # it leaves a cycle with the storages in it
            [
                torch.ones(1, device="cuda") * 2 for _ in range(2000)
            ]  # more than the table starts with
            gc.collect()
        assert {place(tensor) for tensor in net.state_dict().values()} == {"gpu"}
        assert place(torch.zeros(3)) == "cpu"


def test_there_is_one_gpu():
    with pretend_gpu(), pytest.raises(RuntimeError, match="invalid device ordinal"):
        torch.zeros(3, device="cuda:1")


def test_a_subclass_that_lies_changes_nothing():
    class Data(torch.Tensor):
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            return torch.full((3,), 42.0)

    with pretend_gpu():
        data = torch.ones(3).as_subclass(Data)
        assert (data + 1).tolist() == [42, 42, 42]
        assert place(torch.Tensor.detach(torch.ones(3)).cuda()) == "gpu"


def test_nested_values_are_moved():
    layer = nn.Linear(2, 2)
    with pretend_gpu():
        moved = to_gpu({"a": [torch.ones(2), 3], "b": (layer, "text")})
        assert place(moved["a"][0]) == place(layer.weight) == "gpu"
        assert moved["a"][1] == 3 and moved["b"] == (layer, "text")
