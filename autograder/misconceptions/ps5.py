"""What goes wrong in ps5, the convolutional VAE of faces."""

from autograder.misconceptions import Misconception, swapped

SCALE = """
def scale_images(images):
    if images.dtype == torch.uint8:
        images = images.float() / 255
    return images * 2 - 1


def unscale_images(x):
    pixels = (x + 1) / 2
    return pixels.clamp(0, 1)
"""
DOOR = """\
        if x.shape[1:] != (self.channels, 64, 64):
            raise ValueError(f"{self.channels} x 64 x 64 is needed, not {tuple(x.shape[1:])}")
"""
ENCODER = f"""
class FaceEncoder(nn.Module):
    def __init__(self, latent_dim, channels=3):
        super().__init__()
        self.latent_dim = latent_dim
        self.channels = channels
        self.conv1 = nn.Conv2d(channels, 32, 4, stride=2, padding=1)
        self.conv2 = nn.Conv2d(32, 32, 4, stride=2, padding=1)
        self.conv3 = nn.Conv2d(32, 64, 4, stride=2, padding=1)
        self.conv4 = nn.Conv2d(64, 64, 4, stride=2, padding=1)
        self.conv5 = nn.Conv2d(64, 256, 4)
        self.fc = nn.Linear(256, 2 * latent_dim)

    def forward(self, x):
{DOOR}        x = F.relu(self.conv1(x))
        x = F.relu(self.conv2(x))
        x = F.relu(self.conv3(x))
        x = F.relu(self.conv4(x))
        x = F.relu(self.conv5(x)).flatten(1)
        h = self.fc(x)
        mu = h[:, :self.latent_dim]
        var = F.softplus(h[:, self.latent_dim:]) + 1e-6
        return mu, var
"""
DECODER = """
class FaceDecoder(nn.Module):
    def __init__(self, latent_dim, channels=3):
        super().__init__()
        self.fc = nn.Linear(latent_dim, 256)
        self.up1 = nn.ConvTranspose2d(256, 64, 4)
        self.up2 = nn.ConvTranspose2d(64, 64, 4, stride=2, padding=1)
        self.up3 = nn.ConvTranspose2d(64, 32, 4, stride=2, padding=1)
        self.up4 = nn.ConvTranspose2d(32, 32, 4, stride=2, padding=1)
        self.up5 = nn.ConvTranspose2d(32, channels, 4, stride=2, padding=1)

    def forward(self, z):
        h = F.relu(self.fc(z))
        h = h.view(-1, 256, 1, 1)
        h = F.relu(self.up1(h))
        h = F.relu(self.up2(h))
        h = F.relu(self.up3(h))
        h = F.relu(self.up4(h))
        return torch.tanh(self.up5(h))
"""
LIKELIHOOD = """
def gaussian_log_likelihood(x, mean, var=1.0):
    var = torch.as_tensor(var, dtype=x.dtype, device=x.device)
    constant = -0.5 * torch.log(2 * math.pi * var)
    distance = (x - mean) ** 2 / (2 * var)
    return (constant - distance).flatten(1).sum(dim=1)
"""
DRAW = """
def draw_gaussian(mean, var, generator=None):
    var = torch.as_tensor(var, dtype=mean.dtype, device=mean.device)
    noise = torch.randn(mean.shape, generator=generator, device=mean.device)
    return mean + var.sqrt() * noise
"""
KL = """
def gaussian_kl_from_var(mu, var):
    each = 0.5 * (mu**2 + var - 1 - torch.log(var))
    return each.sum(dim=-1)
"""
MODEL = """
class FaceVAE(nn.Module):
    def __init__(self, latent_dim=100, channels=3, var_x=0.1):
        super().__init__()
        self.latent_dim = latent_dim
        self.channels = channels
        self.var_x = var_x
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
        was_training = self.training
        self.eval()
        mu, var = self.encode(x)
        x_hat = self.decode(mu)
        self.train(was_training)
        return x_hat

    @torch.no_grad()
    def sample(self, num_samples, generator=None, noisy=False):
        was_training = self.training
        self.eval()
        device = next(self.parameters()).device
        z = torch.randn(num_samples, self.latent_dim, generator=generator, device=device)
        x = self.decode(z)
        if noisy:
            x = draw_gaussian(x, self.var_x, generator)
        self.train(was_training)
        return x
"""
COMPARE = """\
    for name in ("latent_dim", "channels", "var_x"):
        if state[name] != getattr(model, name):
            raise ValueError(f"the file has {name} = {state[name]}, not {getattr(model, name)}")
"""
CHECKPOINT = f"""
def save_checkpoint(path, model, optimizer, epoch, history, generator=None):
    if generator is None:
        generator = torch.default_generator
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    state = {{
        "latent_dim": model.latent_dim,
        "channels": model.channels,
        "var_x": model.var_x,
        "weights": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "epoch": epoch,
        "history": history,
        "random": generator.get_state(),
    }}
    unfinished = path.with_name(path.name + ".tmp")
    torch.save(state, unfinished)
    os.replace(unfinished, path)


def restore_checkpoint(path, model, optimizer, generator=None):
    if generator is None:
        generator = torch.default_generator
    state = torch.load(path, map_location="cpu")
{COMPARE}    model.load_state_dict(state["weights"])
    optimizer.load_state_dict(state["optimizer"])
    generator.set_state(state["random"])
    return state["epoch"], state["history"]


def restore_face_vae(path):
    state = torch.load(path, map_location="cpu")
    model = FaceVAE(state["latent_dim"], state["channels"], state["var_x"])
    model.load_state_dict(state["weights"])
    return model
"""
OPTIMIZER_BACK = '    optimizer.load_state_dict(state["optimizer"])\n'
RANDOM_BACK = '    generator.set_state(state["random"])\n'
PATH = """
def interpolate_faces(model, x_start, x_end, num_frames=11):
    was_training = model.training
    model.eval()
    with torch.no_grad():
        mu, var = model.encode(torch.stack([x_start, x_end]))
        frames = []
        for i in range(num_frames):
            w = i / (num_frames - 1)
            z = (1 - w) * mu[:1] + w * mu[1:]
            frames.append(model.decode(z))
    model.train(was_training)
    return torch.cat(frames)
"""
ATTRIBUTES = """
def attribute_direction(codes, has_attribute):
    if has_attribute.all() or not has_attribute.any():
        raise ValueError("some images with the attribute are needed, and some without it")
    with_it = codes[has_attribute].mean(dim=0)
    without_it = codes[~has_attribute].mean(dim=0)
    return with_it - without_it


def edit_faces(model, x, direction, strength=1.0):
    was_training = model.training
    model.eval()
    with torch.no_grad():
        mu, var = model.encode(x)
        images = model.decode(mu + strength * direction.to(mu.device))
    model.train(was_training)
    return images
"""

KNOWN: tuple[Misconception, ...] = (
    Misconception(
        "ps5_scale",
        "bytes not divided",
        swapped(SCALE, ("images.float() / 255", "images.float()")),
        "Bytes come out far whiter than white: you map them as if their largest value were 1. "
        "What has to happen to a byte before anything else?",
    ),
    Misconception(
        "ps5_scale",
        "floats divided too",
        swapped(
            SCALE,
            ("    if images.dtype == torch.uint8:\n        images", "    images"),
        ),
        "Bytes are right, but images that lie between 0 and 1 already come out nearly black: they "
        "are made smaller once more. Look at when your division happens.",
    ),
    Misconception(
        "ps5_scale",
        "scaled to [0, 1]",
        swapped(SCALE, ("images * 2 - 1", "images")),
        "Your `scale_images` stops at the range from 0 to 1, so for the model black is middle "
        "grey, and nothing is darker. One more step leads to the model's own range.",
    ),
    Misconception(
        "ps5_scale",
        "nothing cut off",
        swapped(SCALE, ("pixels.clamp(0, 1)", "pixels")),
        "Your `unscale_images` lets through what is darker than black or whiter than white, and a "
        "picture cannot show that. Try it on a noisy image, and look at the smallest and the "
        "largest value.",
    ),
    Misconception(
        "ps5_scale",
        "cut off before the conversion",
        swapped(SCALE, ("(x + 1) / 2", "(x.clamp(0, 1) + 1) / 2")),
        "Your `unscale_images` cuts off before it converts, so everything darker than middle grey "
        "becomes that grey. On which of the two scales is 0 black?",
    ),
    Misconception(
        "ps5_scale",
        "no way back",
        swapped(SCALE, ("(x + 1) / 2", "x")),
        "Your `unscale_images` cuts off the model's numbers without converting them: the darker "
        "half of every picture turns black. Send a black, a grey and a white pixel there and "
        "back.",
    ),
    Misconception(
        "ps5_scale",
        "channels moved to the end",
        swapped(SCALE, ("pixels.clamp(0, 1)", "pixels.clamp(0, 1).permute(0, 2, 3, 1)")),
        "Your `unscale_images` moves the channels behind height and width. The shape is to stay "
        "as it is: the functions of this notebook that draw want the channels first.",
    ),
    Misconception(
        "ps5_encoder",
        "squeeze()",
        swapped(ENCODER, (".flatten(1)", ".squeeze()")),
        "A single image stops your encoder: its batch has size one too, and is taken away along "
        "with the sides of the map. Look at how you get from four dimensions to two.",
    ),
    Misconception(
        "ps5_encoder",
        "channels ignored",
        swapped(ENCODER, ("nn.Conv2d(channels, 32", "nn.Conv2d(3, 32")),
        "Your encoder takes `channels`, and its layers are made for colour all the same. Look for "
        "a number that was typed in.",
    ),
    Misconception(
        "ps5_encoder",
        "softplus of half the output",
        swapped(ENCODER, ("F.softplus(h", "F.softplus(0.5 * h")),
        "The numbers for the variances are made half as large before your softplus gets them. "
        "Such a factor goes with the logarithm of a variance, as in assignment 2: is there one "
        "here?",
    ),
    Misconception(
        "ps5_encoder",
        "no floor under the variance",
        swapped(ENCODER, (" + 1e-6", "")),
        "Your softplus stands alone. On paper it is positive everywhere, but far out float32 "
        "rounds it to nothing: read again what the docstring says about the smallest variance.",
    ),
    Misconception(
        "ps5_encoder",
        "halves swapped",
        swapped(
            ENCODER,
            ("mu = h[:, :self.latent_dim]", "mu = h[:, self.latent_dim:]"),
            ("softplus(h[:, self.latent_dim:])", "softplus(h[:, :self.latent_dim])"),
        ),
        "The two halves of the linear layer's output have changed places: means are made of what "
        "should become variances, and the other way round. Compare with the docstring.",
    ),
    Misconception(
        "ps5_encoder",
        "ReLU on the means",
        swapped(ENCODER, ("mu = h[:, :self.latent_dim]", "mu = h[:, :self.latent_dim].relu()")),
        "None of your means is negative, so most of the space of codes stays empty. Which numbers "
        "may a mean be, and what comes after your last layer?",
    ),
    Misconception(
        "ps5_encoder",
        "size not looked at",
        swapped(ENCODER, (DOOR, "")),
        "Images of the wrong shape get past the door of your encoder: some fail deep inside its "
        'layers, and some do not fail at all. The docstring has a section "Raises".',
    ),
    Misconception(
        "ps5_decoder",
        "sigmoid at the end",
        swapped(DECODER, ("torch.tanh(", "torch.sigmoid(")),
        "Your images never get darker than middle grey: the function at the end covers only a "
        "part of the range in which the data lie. Which range did section 1 choose?",
    ),
    Misconception(
        "ps5_decoder",
        "nothing at the end",
        swapped(DECODER, ("torch.tanh(self.up5(h))", "self.up5(h)")),
        "Nothing holds your pixels between black and white: compare your last layer with the last "
        "row of the table.",
    ),
    Misconception(
        "ps5_decoder",
        "no map made of the vector",
        swapped(DECODER, ("        h = h.view(-1, 256, 1, 1)\n", "")),
        "Your first transposed convolution needs maps with a height and a width, and gets a row "
        "of numbers for each code. What does the table have between the two layers?",
    ),
    Misconception(
        "ps5_decoder",
        "first layer doubles",
        swapped(
            DECODER,
            (
                "nn.ConvTranspose2d(256, 64, 4)",
                "nn.ConvTranspose2d(256, 64, 4, stride=2, padding=1)",
            ),
        ),
        "Your images come out too small: the first transposed convolution makes a map of the "
        "wrong size, and the others double it faithfully. Work out its side by hand.",
    ),
    Misconception(
        "ps5_decoder",
        "channels ignored",
        swapped(DECODER, ("(32, channels, 4", "(32, 3, 4")),
        "Your decoder takes `channels`, and draws in colour all the same. Look for a number that "
        "was typed in.",
    ),
    Misconception(
        "ps5_log_likelihood",
        "variance taken for a standard deviation",
        """
def gaussian_log_likelihood(x, mean, var=1.0):
    return Normal(mean, var).log_prob(x).flatten(1).sum(dim=1)
""",
        "You use `var` as if it were a standard deviation, and at a variance of 1 nobody can "
        "tell. Look at what your formula, or the distribution that you use, expects in that "
        "place.",
    ),
    Misconception(
        "ps5_log_likelihood",
        "2 pi missing",
        swapped(LIKELIHOOD, ("torch.log(2 * math.pi * var)", "torch.log(var)")),
        "Distances cost what they should, and the variance plays its part. What is missing is a "
        "constant that every number of an image brings, whatever the variance is.",
    ),
    Misconception(
        "ps5_log_likelihood",
        "constant missing",
        swapped(
            LIKELIHOOD,
            ("    constant = -0.5 * torch.log(2 * math.pi * var)\n", ""),
            ("(constant - distance)", "(-distance)"),
        ),
        "A perfect image gets exactly zero from you, whatever the variance is. Without the part "
        "that does not depend on x, models of different variances cannot be compared.",
    ),
    Misconception(
        "ps5_log_likelihood",
        "constant counted once",
        swapped(
            LIKELIHOOD,
            (
                "(constant - distance).flatten(1).sum(dim=1)",
                "constant - distance.flatten(1).sum(dim=1)",
            ),
        ),
        "Your constant enters once for a whole image, though each of its numbers has a density of "
        "its own. Look at what is added before the sum, and what after it.",
    ),
    Misconception(
        "ps5_log_likelihood",
        "sign of log var",
        swapped(
            LIKELIHOOD,
            ("torch.log(2 * math.pi * var)", "(math.log(2 * math.pi) - torch.log(var))"),
        ),
        "The larger the variance, the higher your density is at its peak. A wide Gaussian is a "
        "flat one: look at how the variance enters your constant.",
    ),
    Misconception(
        "ps5_log_likelihood",
        "factor 1/2 missing in the quadratic term",
        swapped(LIKELIHOOD, ("(2 * var)", "var")),
        "Your constant is right, and every distance from the mean is too expensive by the same "
        "factor. Compare your quadratic term with the formula above.",
    ),
    Misconception(
        "ps5_log_likelihood",
        "mean over the pixels",
        swapped(LIKELIHOOD, (".sum(dim=1)", ".mean(dim=1)")),
        "You average over the numbers of an image, so a large image weighs no more than a small "
        "one. How does the density of a whole image follow from those of its numbers?",
    ),
    Misconception(
        "ps5_log_likelihood",
        "sum over the batch",
        swapped(LIKELIHOOD, (".flatten(1).sum(dim=1)", ".sum()")),
        "All images of the batch end up in one number, and nobody can tell any more which of them "
        "was improbable. Look at the dimensions over which you sum.",
    ),
    Misconception(
        "ps5_log_likelihood",
        "absolute value",
        swapped(LIKELIHOOD, (".sum(dim=1)", ".sum(dim=1).abs()")),
        "You throw the sign away. A density may lie above 1 or below it, so its logarithm may "
        "have either sign, and a good image can no longer be told from a bad one.",
    ),
    Misconception(
        "ps5_log_likelihood",
        "variance fixed",
        swapped(LIKELIHOOD, ("torch.as_tensor(var,", "torch.as_tensor(0.1,")),
        "Your function takes `var` and never uses it. Look for a number that was typed in.",
    ),
    Misconception(
        "ps5_log_likelihood",
        "negative log-likelihood",
        swapped(LIKELIHOOD, ("(constant - distance)", "(distance - constant)")),
        "What you return is the loss. A log-likelihood is larger where the image is more "
        "probable: try a perfect image and a bad one.",
    ),
    Misconception(
        "ps5_log_likelihood",
        "variance on the CPU",
        swapped(
            LIKELIHOOD,
            ("torch.as_tensor(var, dtype=x.dtype, device=x.device)", "var * torch.ones(x.shape)"),
        ),
        "Your function makes a tensor for the variance and says nothing of where, so it is on the "
        "CPU wherever the images are. Look at the devices of what meets in your formula.",
    ),
    Misconception(
        "ps5_sample",
        "variance taken for a standard deviation",
        swapped(DRAW, ("var.sqrt() * noise", "var * noise")),
        "The noise is stretched by a variance. At a variance of 1 nobody can tell; draw a few "
        "thousand numbers at a variance of 9, and measure theirs.",
    ),
    Misconception(
        "ps5_sample",
        "uniform noise",
        swapped(DRAW, ("torch.randn(", "torch.rand(")),
        "Your noise is never negative, so every draw lies above its mean. Look at the name of the "
        "function that makes it: which distribution is it?",
    ),
    Misconception(
        "ps5_sample",
        "same noise for the whole batch",
        swapped(DRAW, ("torch.randn(mean.shape,", "torch.randn(mean.shape[1:],")),
        "Everything in the batch gets the same noise: look at the shape in which it is drawn.",
    ),
    Misconception(
        "ps5_sample",
        "generator ignored",
        swapped(
            DRAW,
            (
                "torch.randn(mean.shape, generator=generator, device=mean.device)",
                "torch.randn_like(mean)",
            ),
        ),
        "Your draw does not come from the `generator` that was handed in, so the same one gives "
        "another draw each time. Where does your noise take its randomness from?",
    ),
    Misconception(
        "ps5_sample",
        "gradients lost in torch.normal",
        swapped(
            DRAW,
            (
                "    noise = torch.randn(mean.shape, generator=generator, device=mean.device)\n",
                "",
            ),
            (
                "mean + var.sqrt() * noise",
                "torch.normal(mean, var.sqrt().expand_as(mean), generator=generator)",
            ),
        ),
        "Your draws are distributed as they should be, but all gradients are zero: mean and "
        "variance disappear into a random function. The reparameterisation trick of assignment 2 "
        "keeps them outside.",
    ),
    Misconception(
        "ps5_sample",
        "noise on the CPU",
        swapped(DRAW, ("generator=generator, device=mean.device", "generator=generator")),
        "Your noise is made on the CPU, whatever the mean is on, and training on a GPU stops at "
        "the first draw. Read again what the docstring says of the device.",
    ),
    Misconception(
        "ps5_kl",
        "logarithm taken twice",
        swapped(KL, ("torch.log(var)", "torch.log(torch.log(var))")),
        "Wherever a variance is below 1 your KL is NaN: a logarithm is taken of something "
        "negative. What comes in is the variance itself; count the logarithms on its way.",
    ),
    Misconception(
        "ps5_kl",
        "logarithm counted twice",
        swapped(
            KL,
            (
                "0.5 * (mu**2 + var - 1 - torch.log(var))",
                "0.5 * (mu**2 + var - 1) - torch.log(var)",
            ),
        ),
        "Your logarithm weighs too much beside the other parts. In assignment 3 it was that of a "
        "standard deviation: does what stands before it still fit a variance?",
    ),
    Misconception(
        "ps5_kl",
        "variance taken for log-variance",
        swapped(KL, ("var - 1 - torch.log(var)", "var.exp() - 1 - var")),
        "You treat `var` as the logarithm of a variance, as in assignment 2. The encoder of this "
        "assignment gives the variance itself: which parts of the formula change?",
    ),
    Misconception(
        "ps5_kl",
        "factor 1/2 missing",
        swapped(KL, ("0.5 * ", "")),
        "Every part of your KL is there, and all of it is too large by one factor. Try a mean of "
        "1 at a variance of 1, and compare with the second hint.",
    ),
    Misconception(
        "ps5_kl",
        "mean over the dimensions",
        swapped(KL, ("each.sum(", "each.mean(")),
        "You average over the dimensions of a code, so a longer code costs no more than a short "
        "one. Dimensions are independent here: what do their divergences do together?",
    ),
    Misconception(
        "ps5_kl",
        "prior on the CPU",
        """
def gaussian_kl_from_var(mu, var):
    prior = Normal(torch.zeros(mu.shape), torch.ones(mu.shape))
    return kl_divergence(Normal(mu, var.sqrt()), prior).sum(dim=-1)
""",
        "Your prior is made on the CPU, and on a GPU it cannot be compared with a posterior that "
        "is there. Look at the tensors that you make yourself.",
    ),
    Misconception(
        "ps5_model",
        "channels not handed on",
        swapped(MODEL, ("(latent_dim, channels)", "(latent_dim)")),
        "Your model takes `channels`, remembers it, and is built for colour all the same. Follow "
        "the argument through `__init__`: whom does it reach?",
    ),
    Misconception(
        "ps5_model",
        "var_x not remembered",
        swapped(MODEL, ("self.var_x = var_x", "self.var_x = 0.1")),
        "Whatever `var_x` your model is built with, it remembers one and the same value. Look for "
        "a number that was typed in.",
    ),
    Misconception(
        "ps5_model",
        "noise of a fixed variance",
        swapped(MODEL, ("draw_gaussian(x, self.var_x,", "draw_gaussian(x, 0.1,")),
        "Your model remembers its `var_x`, and noisy samples scatter alike whatever it is. Which "
        "variance goes into that draw?",
    ),
    Misconception(
        "ps5_model",
        "var_x taken for a standard deviation",
        swapped(
            MODEL,
            (
                "x = draw_gaussian(x, self.var_x, generator)",
                "x = x + self.var_x * torch.randn(x.shape, generator=generator, device=device)",
            ),
        ),
        "In your noisy samples `var_x` is used as a standard deviation, and its name says what it "
        "holds. Draw many noisy samples at a `var_x` far from 1, and measure how far they scatter "
        "around their mean images.",
    ),
    Misconception(
        "ps5_model",
        "mean returned as a sample",
        swapped(
            MODEL,
            (
                "        if noisy:\n            x = draw_gaussian(x, self.var_x, generator)\n",
                "",
            ),
        ),
        "With `noisy=True` your model returns the same smooth image as without it. That image is "
        "the mean of p(x|z), and no draw from it.",
    ),
    Misconception(
        "ps5_model",
        "posterior variance taken for a standard deviation",
        swapped(
            MODEL,
            (
                "z = draw_gaussian(mu, var, generator)",
                "z = mu + var * torch.randn(mu.shape, generator=generator, device=mu.device)",
            ),
        ),
        "In `forward` your noise is stretched by a variance: codes scatter too little where the "
        "posterior is narrow, and too much where it is wide. In section 3 you wrote a function "
        "that starts from a mean and a variance: compare.",
    ),
    Misconception(
        "ps5_model",
        "codes drawn with var_x",
        swapped(
            MODEL,
            (
                "z = torch.randn(num_samples, self.latent_dim, generator=generator, device=device)",
                "z = torch.zeros(num_samples, self.latent_dim, device=device)\n"
                "        z = draw_gaussian(z, self.var_x, generator)",
            ),
        ),
        "In `sample` your codes scatter with the variance `var_x`, and so all faces resemble the "
        "average one. `var_x` is about pixels: where do codes come from?",
    ),
    Misconception(
        "ps5_model",
        "reconstruct draws",
        swapped(MODEL, ("x_hat = self.decode(mu)", "x_hat = self.decode(draw_gaussian(mu, var))")),
        "Your `reconstruct` draws a code, so the same face comes back differently each time. Read "
        "again which code it is to decode.",
    ),
    Misconception(
        "ps5_model",
        "forward draws nothing",
        swapped(MODEL, ("z = draw_gaussian(mu, var, generator)", "z = mu")),
        "Your `forward` gives the same image at every call, so the decoder never meets the width "
        "of a posterior. Which code should it get while the model learns?",
    ),
    Misconception(
        "ps5_model",
        "codes on the CPU",
        swapped(MODEL, ("generator=generator, device=device)", "generator=generator)")),
        "Your `sample` draws its codes on the CPU, and a decoder on a GPU cannot take them. "
        "Nothing that comes in says where the model is: what can you ask instead?",
    ),
    Misconception(
        "ps5_checkpoint",
        "only the weights",
        swapped(
            CHECKPOINT,
            ('        "optimizer": optimizer.state_dict(),\n', ""),
            ('        "epoch": epoch,\n        "history": history,\n', ""),
            ('        "random": generator.get_state(),\n', ""),
            (OPTIMIZER_BACK + RANDOM_BACK, ""),
            ('state["epoch"], state["history"]', '0, {"train": [], "held_out": []}'),
        ),
        "The weights come back, and everything else begins anew: the run is not the one that was "
        "stopped. On what does its next epoch depend, besides the weights?",
    ),
    # The same where a new optimiser is made, and that one gets the memory.
    Misconception(
        "ps5_checkpoint",
        "optimiser not restored",
        swapped(CHECKPOINT, (OPTIMIZER_BACK, "")),
        "The optimiser that was handed in knows nothing of the past after restoring, so the next "
        "steps are others. Follow its memory into the file, and back into that very object.",
    ),
    Misconception(
        "ps5_checkpoint",
        "random numbers not restored",
        swapped(CHECKPOINT, (RANDOM_BACK, "")),
        "After restoring, the generator is not where it was, so the next batches and codes are "
        "others. Follow its state into the file, and back.",
    ),
    Misconception(
        "ps5_checkpoint",
        "map_location missing",
        swapped(CHECKPOINT, (', map_location="cpu"', "")),
        "Whoever trains on a GPU cannot open your file on a laptop. Look at where `torch.load` "
        "puts tensors, and which of its arguments has a say in that.",
    ),
    # The same where the old file is removed before saving begins.
    Misconception(
        "ps5_checkpoint",
        "old file destroyed first",
        swapped(
            CHECKPOINT,
            ('    unfinished = path.with_name(path.name + ".tmp")\n', ""),
            ("torch.save(state, unfinished)", "torch.save(state, path)"),
            ("    os.replace(unfinished, path)\n", ""),
        ),
        "While you save, there is no file to go back to: the old one is emptied or removed before "
        "the new one is complete. Under which name do you write, and what is left if the program "
        "is killed just then?",
    ),
    # The same where it is written in a temporary folder.
    Misconception(
        "ps5_checkpoint",
        "new file in another folder",
        swapped(
            CHECKPOINT,
            ('path.with_name(path.name + ".tmp")', 'str(path.parent) + path.name + ".tmp"'),
        ),
        "You write the new file in another folder than the old one, and bringing it over from "
        "there may be a slow copy that can be cut short. Print the full name under which you "
        "write.",
    ),
    Misconception(
        "ps5_checkpoint",
        "epoch off by one",
        swapped(CHECKPOINT, ('return state["epoch"],', 'return state["epoch"] + 1,')),
        "The number of epochs that comes back is not the one that was saved, so a resumed run "
        "would skip an epoch or train one twice. The docstring says what is counted.",
    ),
    # `strict=False` changes nothing here: shapes that differ stop it all the same.
    Misconception(
        "ps5_checkpoint",
        "settings not compared",
        swapped(CHECKPOINT, (COMPARE, "")),
        "You leave it to `load_state_dict` to find out that a file is of another model. It "
        "notices shapes only, and too late: think of a file with another `var_x`.",
    ),
    Misconception(
        "ps5_checkpoint",
        "default model in restore_face_vae",
        swapped(
            CHECKPOINT,
            ('FaceVAE(state["latent_dim"], state["channels"], state["var_x"])', "FaceVAE()"),
        ),
        "Your `restore_face_vae` builds the default model, whatever the file holds, and other "
        "weights do not fit into it. Who could tell it how the model was built?",
    ),
    Misconception(
        "ps5_checkpoint",
        "string refused as a path",
        swapped(CHECKPOINT, ("    path = Path(path)\n", "")),
        "Your `save_checkpoint` works where `path` is a `Path` and stops where it is a string. "
        "The signature allows both.",
    ),
    Misconception(
        "ps5_interpolate",
        "last image never reached",
        swapped(PATH, ("/ (num_frames - 1)", "/ num_frames")),
        "Your path stops one step before `x_end`. Write down w for three frames: how many steps "
        "lie between them?",
    ),
    Misconception(
        "ps5_interpolate",
        "backwards",
        swapped(PATH, ("(1 - w) * mu[:1] + w * mu[1:]", "w * mu[:1] + (1 - w) * mu[1:]")),
        "Your path leads from `x_end` to `x_start`. Put the first w into your mixture, and see "
        "which image is left.",
    ),
    Misconception(
        "ps5_interpolate",
        "images mixed in place of codes",
        swapped(
            PATH,
            (
                "            z = (1 - w) * mu[:1] + w * mu[1:]\n"
                "            frames.append(model.decode(z))",
                "            start, end = model.decode(mu[:1]), model.decode(mu[1:])\n"
                "            frames.append((1 - w) * start + w * end)",
            ),
        ),
        "Half-way you show two transparent faces, one over the other, and no face that lies "
        "between them. Look at what is mixed, and when.",
    ),
    Misconception(
        "ps5_interpolate",
        "codes drawn",
        swapped(
            PATH,
            (
                "mu, var = model.encode(torch.stack([x_start, x_end]))",
                "mu = draw_gaussian(*model.encode(torch.stack([x_start, x_end])))",
            ),
        ),
        "The same two faces give another path each time: your codes are drawn. Read again which "
        "codes the docstring asks for.",
    ),
    Misconception(
        "ps5_interpolate",
        "left in evaluation mode",
        swapped(PATH, ("    model.train(was_training)\n", "")),
        "Your frames are right, but the model is not as you found it: whoever shows a path "
        "between two epochs goes on training in evaluation mode.",
    ),
    Misconception(
        "ps5_interpolate",
        "weights on the CPU",
        swapped(
            PATH,
            (
                "        frames = []\n        for i in range(num_frames):\n"
                "            w = i / (num_frames - 1)\n            z =",
                "        w = torch.linspace(0, 1, num_frames)[:, None]\n        z =",
            ),
            ("            frames.append(model.decode(z))", "        frames = model.decode(z)"),
            ("torch.cat(frames)", "frames"),
        ),
        "Your weights lie on the CPU, and the codes where the model is: on a GPU you stop where "
        "they are mixed. Look at the line that makes the weights.",
    ),
    Misconception(
        "ps5_attributes",
        "direction reversed",
        swapped(ATTRIBUTES, ("with_it - without_it", "without_it - with_it")),
        "Your direction leads away from the attribute: a step along it takes the smile off a "
        "face. From where to where should it point?",
    ),
    Misconception(
        "ps5_attributes",
        "compared with everybody",
        swapped(ATTRIBUTES, ("codes[~has_attribute].mean", "codes.mean")),
        "You compare those with the attribute with everybody, themselves included, so your step "
        "is too short. Who belongs on the other side?",
    ),
    Misconception(
        "ps5_attributes",
        "nothing to compare, and no ValueError",
        swapped(
            ATTRIBUTES,
            ("    if has_attribute.all() or not has_attribute.any():\n", ""),
            (
                '        raise ValueError("some images with the attribute are needed, and some '
                'without it")\n',
                "",
            ),
        ),
        "Where one of the two groups is empty, your direction is an average over nobody: NaN, "
        "without a word. The docstring says how to answer then.",
    ),
    Misconception(
        "ps5_attributes",
        "codes drawn",
        swapped(
            ATTRIBUTES,
            ("mu, var = model.encode(x)", "mu = draw_gaussian(*model.encode(x))"),
        ),
        "Your `edit_faces` starts from a code that is drawn, so even a step of strength 0 gives "
        "another face each time. Read again where a step starts.",
    ),
    Misconception(
        "ps5_attributes",
        "direction left where it is",
        swapped(ATTRIBUTES, ("direction.to(mu.device)", "direction")),
        "Your `edit_faces` adds the direction to the codes as it comes. Codes of many images are "
        "kept on the CPU while the model is on a GPU: read again what is said of the direction.",
    ),
)

NOT_SEEN: dict[str, str] = {
    "no move to the CPU before plotting": "All that is drawn is drawn by functions that are given.",
    "numpy() on a tensor with a graph": "No exercise asks for an array.",
    "t-SNE with more neighbours than codes": "The map is drawn by a function that is given.",
    "epoch loss averaged over batches": "The trainer is given; a written question is about this.",
    "graph kept in the history": "The trainer that records the history is given.",
    "FID against the training set": "No exercise measures a distance between sets of images.",
    "DataLoader workers": "Batches are split from a tensor, and no exercise makes a DataLoader.",
}
"""Mistakes of the course's catalogue that no check sees, each with the reason."""

EQUIVALENT: dict[str, str] = {
    (
        "ps5_log_likelihood: - var = torch.as_tensor(var, dtype=x.dtype, "
        "device=x.device); + var = torch.as_tensor(var, dtype=x.dtype)"
    ): (
        "A plain number, the usual case, meets tensors of any type and device; others "
        "come with the right ones."
    ),
    (
        "ps5_log_likelihood: - var = torch.as_tensor(var, dtype=x.dtype, "
        "device=x.device); + var = torch.as_tensor(var, device=x.device)"
    ): (
        "A plain number, the usual case, meets tensors of any type and device; others "
        "come with the right ones."
    ),
    ("ps5_sample: - return mean + var.sqrt() * noise; + return mean - var.sqrt() * noise"): (
        "Noise is as likely to be negative as positive."
    ),
    (
        "ps5_sample: - var = torch.as_tensor(var, dtype=mean.dtype, device=mean.device); "
        "+ var = torch.as_tensor(var, device=mean.device)"
    ): (
        "A plain number, the usual case, meets tensors of any type and device; others "
        "come with the right ones."
    ),
    (
        "ps5_sample: - var = torch.as_tensor(var, dtype=mean.dtype, device=mean.device); "
        "+ var = torch.as_tensor(var, dtype=mean.dtype)"
    ): (
        "A plain number, the usual case, meets tensors of any type and device; others "
        "come with the right ones."
    ),
    (
        "ps5_sample: - noise = torch.randn(mean.shape, generator=generator, "
        "device=mean.device, dtype=mean.dtype); + noise = torch.randn(mean.shape, "
        "generator=generator, device=mean.device)"
    ): ("Drawn in single precision, and of the other tensor's type after the sum."),
    (
        "ps5_checkpoint: - checkpoint = torch.load(path, map_location='cpu', "
        "weights_only=True); + checkpoint = torch.load(path, map_location='cpu', "
        "weights_only=False)"
    ): ("It loads the same files. What else it would load is no part of the exercise."),
    (
        "ps5_checkpoint: - checkpoint = torch.load(path, map_location='cpu', "
        "weights_only=True); + checkpoint = torch.load(path, map_location='cpu')"
    ): ("It is the default."),
}
"""Mutants of the right answer that change nothing, and why."""
