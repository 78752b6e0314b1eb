"""What students get wrong in ps1, the autoencoder: known wrong answers and what is said to each."""

from autograder.misconceptions import Misconception, swapped

SIZES = """\
def conv_output_size(size, kernel, stride, padding=0):
    return (size - kernel + 2 * padding) // stride + 1


def conv_transpose_output_size(size, kernel, stride, padding=0):
    return (size - 1) * stride + kernel - 2 * padding
"""
ENCODER = """\
class Encoder(nn.Module):
    def __init__(self, num_outputs=64):
        super().__init__()
        self.convs = nn.Sequential(
            nn.Conv2d(1, 32, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(32, 64, 4, stride=2, padding=1),
            nn.BatchNorm2d(64),
            nn.LeakyReLU(0.2),
            nn.Conv2d(64, 128, 3, stride=2),
            nn.BatchNorm2d(128),
            nn.LeakyReLU(0.2),
            nn.Conv2d(128, 256, 3, stride=2),
            nn.BatchNorm2d(256),
            nn.LeakyReLU(0.2),
        )
        self.linear = nn.Linear(256, num_outputs)

    def forward(self, x):
        h = self.convs(x)
        h = h.flatten(1)
        return self.linear(h)
"""
DECODER = """\
class Decoder(nn.Module):
    def __init__(self, latent_dim=64):
        super().__init__()
        self.linear = nn.Linear(latent_dim, 256)
        self.convs = nn.Sequential(
            nn.BatchNorm2d(256),
            nn.LeakyReLU(0.2),
            nn.ConvTranspose2d(256, 128, 3, stride=2),
            nn.BatchNorm2d(128),
            nn.LeakyReLU(0.2),
            nn.ConvTranspose2d(128, 64, 3, stride=2),
            nn.BatchNorm2d(64),
            nn.LeakyReLU(0.2),
            nn.ConvTranspose2d(64, 32, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.ConvTranspose2d(32, 1, 4, stride=2, padding=1),
            nn.Sigmoid(),
        )

    def forward(self, z):
        h = self.linear(z).view(-1, 256, 1, 1)
        return self.convs(h)
"""
AUTOENCODER = """\
class AutoEncoder(nn.Module):
    def __init__(self, latent_dim=64):
        super().__init__()
        self.encoder = Encoder(latent_dim)
        self.decoder = Decoder(latent_dim)

    def encode(self, x):
        return self.encoder(x)

    def decode(self, z):
        return self.decoder(z)

    def forward(self, x):
        z = self.encode(x)
        return self.decode(z)

    def reconstruct(self, x):
        mode = self.training
        self.eval()
        with torch.no_grad():
            x_hat = self(x)
        self.train(mode)
        return x_hat
"""
ERROR = """\
def squared_error(x_hat, x):
    difference = (x_hat - x).flatten(1)
    return (difference**2).sum(1)
"""
EPOCH = """\
def train_epoch(model, loader, optimizer, loss_terms):
    device = next(model.parameters()).device
    model.train()
    totals, seen = {}, 0
    for images, labels in loader:
        images = images.to(device)
        terms = loss_terms(model, images)
        loss = terms["loss"].mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        for name, values in terms.items():
            totals[name] = totals.get(name, 0.0) + values.sum().item()
        seen += len(images)
    return {name: total / seen for name, total in totals.items()}
"""
EVALUATE = """\
@torch.no_grad()
def evaluate(model, loader, loss_terms):
    device = next(model.parameters()).device
    mode = model.training
    model.eval()
    totals, seen = {}, 0
    for images, labels in loader:
        terms = loss_terms(model, images.to(device))
        for name, values in terms.items():
            totals[name] = totals.get(name, 0.0) + values.sum().item()
        seen += len(images)
    model.train(mode)
    return {name: total / seen for name, total in totals.items()}
"""
FAULT = """\
@torch.no_grad()
def error_by_label(model, loader):
    device = next(model.parameters()).device
    mode = model.training
    model.eval()
    totals, counts = {}, {}
    for images, labels in loader:
        images = images.to(device)
        errors = squared_error(model(images), images)
        for label in labels.unique().tolist():
            chosen = errors[(labels == label).to(device)]
            totals[label] = totals.get(label, 0.0) + chosen.sum().item()
            counts[label] = counts.get(label, 0) + len(chosen)
    model.train(mode)
    return {label: totals[label] / counts[label] for label in sorted(totals)}
"""
PCA = """\
def pca_reconstruct(train, x, num_components):
    mean = train.mean(dim=0)
    U, S, Vh = torch.linalg.svd(train - mean, full_matrices=False)
    directions = Vh[:num_components]
    coordinates = (x - mean) @ directions.T
    return coordinates @ directions + mean
"""
SAMPLE = """\
def sample_prior(decoder, num_samples, latent_dim, generator=None):
    device = next(decoder.parameters()).device
    mode = decoder.training
    decoder.eval()
    z = torch.randn(num_samples, latent_dim, generator=generator, device=device)
    with torch.no_grad():
        images = decoder(z)
    decoder.train(mode)
    return images
"""

IN_A_LIST = (("nn.Sequential(", "["), ("        )\n", "        ]\n"))

KNOWN: tuple[Misconception, ...] = (
    # Sizes.
    Misconception(
        "ps1_conv_size",
        "padding counted once",
        swapped(SIZES, ("2 * padding) //", "padding) //")),
        "With padding, `conv_output_size` comes out too small, as if the zeros were put on one end "
        "of the row only. Pad a row of 5 on paper, and count how long it is then.",
    ),
    Misconception(
        "ps1_conv_size",
        "plus one missing",
        swapped(SIZES, ("// stride + 1", "// stride")),
        "`conv_output_size` is one too small everywhere: it counts the moves of the kernel, and "
        "not the places where it stands. Try a kernel that is as long as the row.",
    ),
    Misconception(
        "ps1_conv_size",
        "true division",
        swapped(SIZES, ("// stride", "/ stride")),
        "`conv_output_size` gives a float, and a fraction wherever the last step does not fit "
        "whole. A map has a whole number of pixels: what becomes of a step that does not fit?",
    ),
    Misconception(
        "ps1_conv_size",
        "rounded up",
        swapped(
            SIZES,
            (
                "(size - kernel + 2 * padding) // stride + 1",
                "int(np.ceil((size - kernel + 2 * padding) / stride)) + 1",
            ),
        ),
        "`conv_output_size` also counts a last step that does not fit whole, so the kernel would "
        "hang over the end of the row. Draw a row of 8, and move a kernel of 3 along it by 2.",
    ),
    Misconception(
        "ps1_conv_size",
        "padding of the transposed convolution added",
        swapped(SIZES, ("+ kernel - 2 * padding", "+ kernel + 2 * padding")),
        "In `conv_transpose_output_size` padding makes the map larger, as it does in a "
        "convolution. A transposed convolution goes the other way: read once more what padding "
        "does there.",
    ),
    Misconception(
        "ps1_conv_size",
        "one copy of the kernel too many",
        swapped(SIZES, ("(size - 1) * stride", "size * stride")),
        "`conv_transpose_output_size` is too large, always by one stride, as if there were one "
        "more input pixel. Draw three copies of a kernel, and count the gaps between their starts.",
    ),
    # The encoder.
    Misconception(
        "ps1_encoder",
        "padding missing",
        swapped(ENCODER, (", padding=1", "")),
        "Your maps shrink faster than the table says, until the last kernel no longer fits on what "
        "is left. Ask `conv_output_size` what each convolution makes of its map, with the stride "
        "and the padding that you gave it.",
    ),
    Misconception(
        "ps1_encoder",
        "padding in every convolution",
        swapped(ENCODER, ("3, stride=2)", "3, stride=2, padding=1)")),
        "Your last map is 2x2 where the table has 1x1, so the linear layer is given four times "
        "the numbers that it expects. Compare your maps with the table one by one: more than one "
        "convolution may shrink its map too little.",
    ),
    Misconception(
        "ps1_encoder",
        "ReLU after the linear layer",
        swapped(ENCODER, ("return self.linear(h)", "return F.relu(self.linear(h))")),
        "Whatever is negative in a code becomes zero after the linear layer, so half of every "
        "dimension is lost. What does the docstring say about a code's numbers, and about what "
        "follows the linear layer?",
    ),
    Misconception(
        "ps1_encoder",
        "tanh after the linear layer",
        swapped(ENCODER, ("return self.linear(h)", "return torch.tanh(self.linear(h))")),
        "Your codes are squashed into the range from -1 to 1, though a code may be any real "
        "number. Look at what happens to them after the linear layer.",
    ),
    Misconception(
        "ps1_encoder",
        "the batch flattened too",
        swapped(ENCODER, ("h.flatten(1)", "h.flatten(0)")),
        "All images of a batch run together into one long row before they reach the linear layer. "
        "Which dimension has to survive the flattening?",
    ),
    Misconception(
        "ps1_encoder",
        "squeeze loses a batch of one",
        swapped(ENCODER, ("h.flatten(1)", "h.squeeze()")),
        "A batch of one image loses its batch dimension. A bare `squeeze()` does that: it removes "
        "every dimension of size 1, and with a single image the batch is one of them.",
    ),
    Misconception(
        "ps1_encoder",
        "batch size fixed",
        swapped(ENCODER, ("h.flatten(1)", "h.view(64, 256)")),
        "Your reshape has a batch size written into it and fails for every other one, the short "
        "last batch of an epoch included. How many images there are is for the batch to say.",
    ),
    Misconception(
        "ps1_encoder",
        "layers in a plain list",
        swapped(
            ENCODER,
            *IN_A_LIST,
            (
                "        h = self.convs(x)\n",
                "        h = x\n        for layer in self.convs:\n            h = layer(h)\n",
            ),
        ),
        "PyTorch does not see the layers of your encoder that stand in a plain list or tuple, so "
        "these are never trained, saved or switched to evaluation mode. Look for a container that "
        "is a module itself.",
    ),
    Misconception(
        "ps1_encoder",
        "default slope of LeakyReLU",
        swapped(ENCODER, ("nn.LeakyReLU(0.2)", "nn.LeakyReLU()")),
        "Your activations let through much less of what is negative than the table asks for. "
        "Which slope does `nn.LeakyReLU` take if it is told none?",
    ),
    Misconception(
        "ps1_encoder",
        "ReLU in place of LeakyReLU",
        swapped(ENCODER, ("nn.LeakyReLU(0.2)", "nn.ReLU()")),
        "Your activations set to zero all that is negative, where the table asks for ones that let "
        "a part of it through. Compare the name of your activation with the docstring's.",
    ),
    Misconception(
        "ps1_encoder",
        "BatchNorm after the activation",
        swapped(
            ENCODER,
            *(
                (
                    f"nn.BatchNorm2d({n}),\n            nn.LeakyReLU(0.2)",
                    f"nn.LeakyReLU(0.2),\n            nn.BatchNorm2d({n})",
                )
                for n in (64, 128, 256)
            ),
        ),
        "Each BatchNorm of yours comes after the activation of its row, so what is normalised has "
        "already lost most of its negative part. In which order does the table name the two?",
    ),
    # The decoder.
    Misconception(
        "ps1_decoder",
        "kernel 3 without output_padding",
        swapped(DECODER, ("4, stride=2", "3, stride=2")),
        "Your images are smaller than 28x28, for the last two layers do not double the side of "
        "their maps. With a stride of 2, a kernel of 3 always gives an odd side: compare your "
        "kernels with the table.",
    ),
    Misconception(
        "ps1_decoder",
        "padding missing",
        swapped(DECODER, (", padding=1", "")),
        "Your images are larger than 28x28: the last two layers more than double the side of their "
        "maps. Ask `conv_transpose_output_size` what should be cut away at the edges.",
    ),
    Misconception(
        "ps1_decoder",
        "sigmoid missing",
        swapped(DECODER, ("            nn.Sigmoid(),\n", "")),
        "Your pixels are whatever the last convolution gives, negative numbers included. What "
        "stands at the end of the last row of the table?",
    ),
    Misconception(
        "ps1_decoder",
        "sigmoid twice",
        swapped(DECODER, ("return self.convs(h)", "return torch.sigmoid(self.convs(h))")),
        "No pixel is ever darker than a medium grey, because a sigmoid is applied to numbers that "
        "already lie between 0 and 1. Look for a second one, in `__init__` or in `forward`.",
    ),
    Misconception(
        "ps1_decoder",
        "ReLU before the sigmoid",
        swapped(DECODER, ("nn.Sigmoid()", "nn.ReLU(),\n            nn.Sigmoid()")),
        "No pixel is ever darker than a medium grey, because all that is negative is set to zero "
        "just before the sigmoid. How does the last row of the table differ from those above it?",
    ),
    Misconception(
        "ps1_decoder",
        "LeakyReLU before the sigmoid",
        swapped(DECODER, ("nn.Sigmoid()", "nn.LeakyReLU(0.2),\n            nn.Sigmoid()")),
        "Dark pixels come out paler than they should, because all that is negative is damped just "
        "before the sigmoid. How does the last row of the table differ from those above it?",
    ),
    Misconception(
        "ps1_decoder",
        "batch size fixed",
        swapped(DECODER, ("view(-1, 256, 1, 1)", "view(64, 256, 1, 1)")),
        "Your reshape has a batch size written into it and fails for every other one, a single "
        "code included. How many codes there are is for the batch to say.",
    ),
    Misconception(
        "ps1_decoder",
        "layers in a plain list",
        swapped(
            DECODER,
            *IN_A_LIST,
            (
                "        return self.convs(h)",
                "        for layer in self.convs:\n            h = layer(h)\n        return h",
            ),
        ),
        "PyTorch does not see the layers of your decoder that stand in a plain list or tuple, so "
        "these are never trained, saved or switched to evaluation mode. Look for a container that "
        "is a module itself.",
    ),
    Misconception(
        "ps1_decoder",
        "default slope of LeakyReLU",
        swapped(DECODER, ("nn.LeakyReLU(0.2)", "nn.LeakyReLU()")),
        "Your activations let through much less of what is negative than the table asks for. "
        "Which slope does `nn.LeakyReLU` take if it is told none?",
    ),
    Misconception(
        "ps1_decoder",
        "ReLU in place of LeakyReLU",
        swapped(DECODER, ("nn.LeakyReLU(0.2)", "nn.ReLU()")),
        "Your activations set to zero all that is negative, where the table asks for ones that let "
        "a part of it through. Compare the name of your activation with the docstring's.",
    ),
    # The two together.
    Misconception(
        "ps1_autoencoder",
        "reconstruct without evaluation mode",
        swapped(
            AUTOENCODER,
            ("        mode = self.training\n", ""),
            ("        self.eval()\n", ""),
            ("        self.train(mode)\n", ""),
        ),
        "`reconstruct` computes in the mode in which it finds the model. In training mode "
        "BatchNorm mixes the images of a batch, moves its averages, and cannot take a single image "
        "at all.",
    ),
    Misconception(
        "ps1_autoencoder",
        "mode not restored",
        swapped(
            AUTOENCODER, ("        mode = self.training\n", ""), ("        self.train(mode)\n", "")
        ),
        "After `reconstruct` the model is always in evaluation mode. Whoever looks at a picture in "
        "the middle of training changes the training that way: how was the model before?",
    ),
    Misconception(
        "ps1_autoencoder",
        "always back to training mode",
        swapped(AUTOENCODER, ("        mode = self.training\n", ""), ("train(mode)", "train()")),
        "After `reconstruct` the model is always in training mode, also if it was in evaluation "
        "mode before. It should be left as it was found, whichever mode that was.",
    ),
    Misconception(
        "ps1_autoencoder",
        "gradients tracked in reconstruct",
        swapped(AUTOENCODER, ("with torch.no_grad():\n            x_hat", "x_hat")),
        "What `reconstruct` gives still drags along the graph of all that was computed for it. "
        "A picture to look at needs no gradients, and graphs that are kept fill the memory.",
    ),
    Misconception(
        "ps1_autoencoder",
        "code detached",
        swapped(AUTOENCODER, ("z = self.encode(x)", "z = self.encode(x).detach()")),
        "Your encoder can never learn: the code is cut off from it before it reaches the decoder, "
        "so no gradient finds the way back. Follow the code from one half to the other.",
    ),
    Misconception(
        "ps1_autoencoder",
        "halves made anew at every call",
        swapped(
            AUTOENCODER,
            ("self.encoder = Encoder(latent_dim)", "self.latent_dim = latent_dim"),
            ("        self.decoder = Decoder(latent_dim)\n", ""),
            ("return self.encoder(x)", "return Encoder(self.latent_dim).to(x.device)(x)"),
            ("return self.decoder(z)", "return Decoder(self.latent_dim).to(z.device)(z)"),
        ),
        "A new encoder and a new decoder are made at every call, so the model has no parameters of "
        "its own and keeps nothing that it learns. Where in a module are its parts made, once?",
    ),
    # The error.
    Misconception(
        "ps1_squared_error",
        "mean over the pixels",
        swapped(ERROR, ("(difference**2).sum(1)", "(difference**2).mean(1)")),
        "Your error is a mean over the pixels of an image, and the docstring asks for another "
        "reduction. Between the two lies a factor, the number of pixels, and beside other terms "
        "of a loss that is a hidden weight.",
    ),
    Misconception(
        "ps1_squared_error",
        "mean over everything",
        swapped(
            ERROR,
            (
                "difference = (x_hat - x).flatten(1)\n    return (difference**2).sum(1)",
                "return F.mse_loss(x_hat, x)",
            ),
        ),
        "One number comes out for the whole batch, a mean over all pixels of all images. Each "
        "image is to keep a number of its own: over which dimensions may you reduce, and how?",
    ),
    Misconception(
        "ps1_squared_error",
        "sum over everything",
        swapped(ERROR, (".flatten(1)", ""), ("sum(1)", "sum()")),
        "The errors of all images run together into one sum, which grows with the batch. Each "
        "image is to keep a number of its own: which dimension must stay?",
    ),
    Misconception(
        "ps1_squared_error",
        "dimensions of an image fixed",
        swapped(ERROR, (".flatten(1)", ""), ("sum(1)", "sum((1, 2, 3))")),
        "Images work, but plain vectors make `squared_error` stop, because it counts on exactly "
        "three dimensions after the batch. Look for a way that works for any number of them.",
    ),
    Misconception(
        "ps1_squared_error",
        "reconstruction detached",
        swapped(ERROR, ("(x_hat - x)", "(x_hat.detach() - x)")),
        "Your numbers are right, but no gradient flows from them back to `x_hat`, so no network "
        "could learn from this error. Something on the way cuts it out of the graph.",
    ),
    Misconception(
        "ps1_squared_error",
        "halved",
        swapped(ERROR, ("(difference**2).sum(1)", "(difference**2).sum(1) / 2")),
        "Your error is too small by one and the same factor on every input. The half belongs to "
        "the negative log-likelihood, which is made from this error later on.",
    ),
    Misconception(
        "ps1_squared_error",
        "absolute differences",
        swapped(ERROR, ("(difference**2)", "difference.abs()")),
        "Your differences are made positive, and not squared. Large errors should count for more "
        "than their share: look at the formula once more.",
    ),
    Misconception(
        "ps1_squared_error",
        "distance not squared",
        swapped(ERROR, ("(difference**2).sum(1)", "difference.norm(dim=1)")),
        "What comes out is the distance itself, in which a root has been taken. The formula above "
        "the exercise has none: what does the function that you call give?",
    ),
    Misconception(
        "ps1_squared_error",
        "square of the sum",
        swapped(ERROR, ("(difference**2).sum(1)", "difference.sum(1) ** 2")),
        "The differences of an image are added up first and squared afterwards, so positive and "
        "negative ones cancel. Which of the two has to come first?",
    ),
    Misconception(
        "ps1_squared_error",
        "difference of squares",
        swapped(
            ERROR,
            ("difference = (x_hat - x).flatten(1)", "difference = (x_hat**2 - x**2).flatten(1)"),
            ("(difference**2)", "difference"),
        ),
        "Each side is squared by itself, and the squares are subtracted: an image can then have an "
        "error below zero. What is it that should be squared?",
    ),
    Misconception(
        "ps1_squared_error",
        "subtracted in place",
        swapped(
            ERROR,
            (
                "difference = (x_hat - x).flatten(1)",
                "x_hat -= x\n    difference = x_hat.flatten(1)",
            ),
        ),
        "The numbers are right, but the differences are written over the reconstructions that were "
        "handed in, and whoever wants to draw these afterwards finds something else. Which of your "
        "lines changes a tensor in place of making a new one?",
    ),
    # The loop.
    Misconception(
        "ps1_train_epoch",
        "zero_grad missing",
        swapped(EPOCH, ("        optimizer.zero_grad()\n", "")),
        "The gradients of one batch are never forgotten, so each step follows the sum of all those "
        "before it as well. Of the three parts of an optimiser step one is missing, or is named "
        "and never called.",
    ),
    Misconception(
        "ps1_train_epoch",
        "zero_grad between backward and step",
        swapped(
            EPOCH,
            ("        optimizer.zero_grad()\n", ""),
            ("        optimizer.step()", "        optimizer.zero_grad()\n        optimizer.step()"),
        ),
        "The gradients are computed and then cleared before the optimiser can use them, so nothing "
        "is learnt. Look at the order in which the three parts of a step come.",
    ),
    Misconception(
        "ps1_train_epoch",
        "step missing",
        swapped(EPOCH, ("        optimizer.step()\n", "")),
        "Gradients are computed and cleared in good order, but the optimiser never takes a step, "
        "so the model stays as it was. Is one of the three parts of a step missing, or named and "
        "never called?",
    ),
    Misconception(
        "ps1_train_epoch",
        "loss cut off from the model",
        swapped(
            EPOCH,
            (
                'loss = terms["loss"].mean()',
                'loss = torch.tensor(terms["loss"].mean().item(), requires_grad=True)',
            ),
        ),
        "The optimiser takes its steps, but no gradient ever reaches the model: either nothing is "
        "propagated back, or something that has lost its connection to the weights. Follow the "
        "loss from `loss_terms` to `backward`.",
    ),
    Misconception(
        "ps1_train_epoch",
        "tensors in the report",
        swapped(EPOCH, ("values.sum().item()", "values.sum()")),
        "The means that come back are tensors. A tensor can hold on to the graph of every batch "
        "that went into it, and a history of such numbers fills the memory epoch by epoch.",
    ),
    Misconception(
        "ps1_train_epoch",
        "sums that keep every graph",
        swapped(
            EPOCH,
            ("values.sum().item()", "values.sum()"),
            ("{name: total / seen", "{name: (total / seen).item()"),
        ),
        "The numbers that come back are plain, but until the epoch is over your running sums are "
        "tensors, which hold on to the graph of every batch so far. When does a sum become a "
        "number?",
    ),
    Misconception(
        "ps1_train_epoch",
        "measured after the step",
        swapped(
            EPOCH,
            (
                "        for name, values",
                "        terms = loss_terms(model, images)\n        for name, values",
            ),
            ("values.sum().item()", "values.detach().sum().item()"),
        ),
        "Your report is of terms that are computed a second time, after the step. That costs as "
        "much again, and it is no longer what the step was taken on. How often does a batch have "
        "to go through the model?",
    ),
    Misconception(
        "ps1_train_epoch",
        "last batch reported",
        swapped(
            EPOCH,
            ("totals.get(name, 0.0) + values.sum().item()", "values.mean().item()"),
            ("total / seen", "total"),
        ),
        "Your report is that of the last batch alone: each batch writes over what the ones before "
        "it left. What has to be kept from batch to batch?",
    ),
    Misconception(
        "ps1_train_epoch",
        "images left on the CPU",
        swapped(EPOCH, ("        images = images.to(device)\n", "")),
        "The images stay where the loader has them, which is the CPU, and on a GPU the first batch "
        "already fails. Where is the model, and how can you ask it?",
    ),
    Misconception(
        "ps1_train_epoch",
        "loss summed over the batch",
        swapped(EPOCH, ('terms["loss"].mean()', 'terms["loss"].sum()')),
        "Each step follows the sum of the losses of a batch, so its gradient grows with the size "
        "of the batch. The docstring says what a step minimises.",
    ),
    Misconception(
        "ps1_train_epoch",
        "labels in place of the images",
        swapped(EPOCH, ("loss_terms(model, images)", "loss_terms(model, labels.to(device))")),
        "The first batch already fails, because a tensor with one number for each image stands "
        "where more dimensions are needed. Which of the two things that the loader gives do you "
        "hand to `loss_terms`? If it is the images, look at what you do with its terms, whose "
        "shape is (B,).",
    ),
    Misconception(
        "ps1_train_epoch",
        "short batch skipped",
        swapped(
            EPOCH,
            (
                "        images = images.to(device)\n",
                "        if seen and len(images) < batch_size:\n"
                "            continue\n"
                "        batch_size = len(images)\n"
                "        images = images.to(device)\n",
            ),
        ),
        "A short last batch is left out: its images teach the model nothing, and they are missing "
        "from the means. Every image of the loader counts, whatever its batch.",
    ),
    Misconception(
        "ps1_train_epoch",
        "a new optimiser for every batch",
        swapped(
            EPOCH,
            (
                "        optimizer.zero_grad()\n",
                "        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)\n"
                "        optimizer.zero_grad()\n",
            ),
        ),
        "The `optimizer` that was passed in is never used, for a new one is made for every batch. "
        "With each, all that Adam remembers of earlier gradients is lost.",
    ),
    Misconception(
        "ps1_train_epoch",
        "a new optimiser for every epoch",
        swapped(
            EPOCH,
            (
                "    model.train()\n",
                "    model.train()\n"
                "    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)\n",
            ),
        ),
        "The `optimizer` that was passed in is never used, for `train_epoch` makes one of its own. "
        "Its learning rate is not the one that was asked for, and what it remembers is lost when "
        "the epoch ends.",
    ),
    Misconception(
        "ps1_train_epoch",
        "optimiser of another model",
        swapped(
            EPOCH,
            (
                "    model.train()\n",
                "    model.train()\n"
                "    autoencoder = AutoEncoder().to(device)\n"
                "    optimizer = torch.optim.Adam(autoencoder.parameters(), lr=1e-3)\n",
            ),
        ),
        "The model gets gradients, but the `optimizer` that was passed in neither clears nor uses "
        "them, so nothing is learnt. Which optimiser takes your steps, if any, and whose "
        "parameters does it hold?",
    ),
    Misconception(
        "ps1_train_epoch",
        "batches averaged, not images",
        swapped(
            EPOCH,
            ("values.sum().item()", "values.mean().item()"),
            ("seen += len(images)", "seen += 1"),
        ),
        "Your report gives every batch the same weight, so the same images dealt out in other "
        "batches give other means. What goes into the running sums, and what do you divide by?",
    ),
    Misconception(
        "ps1_train_epoch",
        "images scaled once more",
        swapped(EPOCH, ("images = images.to(device)", "images = images.to(device) / 255")),
        "The images are divided by 255 although those of the loader lie between 0 and 1 already, "
        "so the model is shown pictures that are almost black. Look at what is done to a batch "
        "before it is used.",
    ),
    Misconception(
        "ps1_train_epoch",
        "training mode not set",
        swapped(EPOCH, ("    model.train()\n", "")),
        "The model is in evaluation mode while it learns, so BatchNorm does not look at the batch "
        "and collects no averages. `train_epoch` cannot count on the mode in which it is given a "
        "model.",
    ),
    # Measuring.
    Misconception(
        "ps1_evaluate",
        "no evaluation mode",
        swapped(
            EVALUATE,
            ("    mode = model.training\n", ""),
            ("    model.eval()\n", ""),
            ("    model.train(mode)\n", ""),
        ),
        "The model is measured in the mode in which it is found, and between two epochs that is "
        "training mode. Then the answer depends on which images share a batch, and every pass "
        "moves BatchNorm's averages.",
    ),
    Misconception(
        "ps1_evaluate",
        "gradients tracked",
        swapped(EVALUATE, ("@torch.no_grad()\n", "")),
        "Your numbers are right, but for every batch PyTorch also notes all that it would need for "
        "gradients. Nothing is learnt here: tell it so.",
    ),
    Misconception(
        "ps1_evaluate",
        "mode not restored",
        swapped(EVALUATE, ("    mode = model.training\n", ""), ("    model.train(mode)\n", "")),
        "After `evaluate` the model is always in evaluation mode, whatever it was before. "
        "Measuring must not change what it measures: how will you know afterwards which mode it "
        "had?",
    ),
    Misconception(
        "ps1_evaluate",
        "always back to training mode",
        swapped(EVALUATE, ("    mode = model.training\n", ""), ("train(mode)", "train()")),
        "After `evaluate` the model is always in training mode, also if it was in evaluation mode "
        "before. It should be left as it was found, whichever mode that was.",
    ),
    Misconception(
        "ps1_evaluate",
        "batches averaged, not images",
        swapped(
            EVALUATE,
            ("values.sum().item()", "values.mean().item()"),
            ("seen += len(images)", "seen += 1"),
        ),
        "You give every batch the same weight, so the same images dealt out in other batches give "
        "other means. What goes into the running sums, and what do you divide by?",
    ),
    Misconception(
        "ps1_evaluate",
        "tensors in the report",
        swapped(EVALUATE, ("values.sum().item()", "values.sum()")),
        "The means that come back are tensors, on whatever device the model is. The docstring asks "
        "for plain Python numbers, which can be printed, plotted and saved without a thought.",
    ),
    Misconception(
        "ps1_evaluate",
        "images left on the CPU",
        swapped(EVALUATE, ("images.to(device)", "images")),
        "The images stay where the loader has them, which is the CPU, and on a GPU the first batch "
        "already fails. Where is the model, and how can you ask it?",
    ),
    Misconception(
        "ps1_evaluate",
        "gradients switched off for good",
        swapped(
            EVALUATE,
            ("@torch.no_grad()\n", ""),
            ("    model.eval()\n", "    model.eval()\n    torch.set_grad_enabled(False)\n"),
        ),
        "Gradients are switched off and never come back on, so the next epoch of training stops at "
        "its first `backward`. Look for a way that ends by itself.",
    ),
    # Somebody else's measurement.
    Misconception(
        "ps1_fault",
        "Monday: no evaluation mode",
        swapped(
            FAULT,
            ("    mode = model.training\n", ""),
            ("    model.eval()\n", ""),
            ("    model.train(mode)\n", ""),
        ),
        "Monday's fault is still there: the model is measured in the mode in which it is found, "
        "and in training mode BatchNorm's averages move with every pass.",
    ),
    Misconception(
        "ps1_fault",
        "Monday: mode not restored",
        swapped(FAULT, ("    mode = model.training\n", ""), ("    model.train(mode)\n", "")),
        "Monday's fault is only half mended: the model is measured in evaluation mode, and then it "
        "is left there, whatever it was before. Nobody should be able to tell from a model that "
        "it was measured.",
    ),
    Misconception(
        "ps1_fault",
        "Tuesday: means of the batches' means",
        swapped(FAULT, ("chosen.sum().item()", "chosen.mean().item()"), ("len(chosen)", "1")),
        "Tuesday's fault is still there: each batch counts the same for a label, however many of "
        "its images it holds, so the table changes with the size of the batches. What should be "
        "counted instead?",
    ),
    Misconception(
        "ps1_fault",
        "Wednesday: gradients tracked",
        swapped(FAULT, ("@torch.no_grad()\n", "")),
        "Wednesday's fault is only half mended: the numbers are plain, but every batch is still "
        "computed with all that gradients would need. Nothing is learnt here: tell PyTorch so.",
    ),
    Misconception(
        "ps1_fault",
        "Wednesday: tensors in the table",
        swapped(FAULT, ("chosen.sum().item()", "chosen.sum()")),
        "The entries of your table are still tensors, and it was tensors that held on to "
        "Wednesday's memory. The docstring says what kind of number an entry is.",
    ),
    Misconception(
        "ps1_fault",
        "divided by all batches",
        swapped(
            FAULT,
            ("chosen.sum().item()", "chosen.mean().item()"),
            ("counts[label] = counts.get(label, 0) + len(chosen)", "counts[label] = len(loader)"),
        ),
        "Tuesday's fault has become another one: the means of the batches are divided by the "
        "number of all batches, also of those in which a label does not occur. What should be "
        "counted, label by label?",
    ),
    Misconception(
        "ps1_fault",
        "images left on the CPU",
        swapped(FAULT, ("        images = images.to(device)\n", "")),
        "The images stay where the loader has them, which is the CPU, and on a GPU the first batch "
        "already fails. Her function had a line for that.",
    ),
    # Principal components.
    Misconception(
        "ps1_pca",
        "not centred",
        swapped(
            PCA,
            ("    mean = train.mean(dim=0)\n", ""),
            ("train - mean", "train"),
            ("(x - mean)", "x"),
            (" + mean", ""),
        ),
        "Your directions are those in which the examples lie from the origin, and not those in "
        "which they vary from each other. The first of them is spent on pointing at the middle of "
        "the data: what has to be done with it before?",
    ),
    Misconception(
        "ps1_pca",
        "mean not put back",
        swapped(PCA, ("@ directions + mean", "@ directions")),
        "All your reconstructions are shifted by the same amount. What is taken away from `x` "
        "before it is described by its coordinates is still missing at the end.",
    ),
    Misconception(
        "ps1_pca",
        "centred with the mean of x",
        swapped(PCA, ("    coordinates", "    mean = x.mean(dim=0)\n    coordinates")),
        "`x` is centred with its own mean, so a reconstruction depends on the other examples in "
        "`x`, and a single one comes back untouched. From which data is everything to be learnt?",
    ),
    Misconception(
        "ps1_pca",
        "columns of Vh",
        swapped(PCA, ("Vh[:num_components]", "Vh[:, :num_components].T")),
        "You take your directions from the third factor of the decomposition along the wrong one "
        "of its dimensions. Let `train` have fewer examples than an example has numbers, and "
        "print that factor's shape: which of its sides is as long as an example?",
    ),
    Misconception(
        "ps1_pca",
        "directions of least variance",
        swapped(
            PCA,
            (
                "U, S, Vh = torch.linalg.svd(train - mean, full_matrices=False)",
                "variances, vectors = torch.linalg.eigh(torch.cov(train.T))",
            ),
            ("Vh[:num_components]", "vectors[:, :num_components].T"),
        ),
        "You keep the directions in which the training examples vary least, so next to nothing of "
        "an example survives. Print the eigenvalues or singular values: in which order do they "
        "come?",
    ),
    Misconception(
        "ps1_pca",
        "one component too many",
        swapped(PCA, ("Vh[:num_components]", "Vh[: num_components + 1]")),
        "You keep one direction more than you are asked for. What does a slice do with its second "
        "number?",
    ),
    Misconception(
        "ps1_pca",
        "directions of x",
        swapped(PCA, ("svd(train - mean,", "svd(x - mean,")),
        "Your directions are those of the examples that are to be reconstructed, and these always "
        "fit: with a few of them nothing is lost. From which data is everything to be learnt?",
    ),
    Misconception(
        "ps1_pca",
        "centred in place",
        swapped(
            PCA,
            ("    U, S, Vh", "    train -= mean\n    U, S, Vh"),
            ("svd(train - mean,", "svd(train,"),
        ),
        "The reconstructions are right, but the training data is centred where it lies: whoever "
        "handed it in finds other numbers afterwards, and a second call finds the mean zero. "
        "Which of your lines changes a tensor in place of making a new one?",
    ),
    # Sampling.
    Misconception(
        "ps1_sample_prior",
        "uniform codes",
        swapped(SAMPLE, ("torch.randn(", "torch.rand(")),
        "Your codes are uniform between 0 and 1, and none of them is negative. Look up what the "
        "function that you call draws from, and compare it with N(0, I).",
    ),
    Misconception(
        "ps1_sample_prior",
        "seed set inside",
        swapped(SAMPLE, ("    z =", "    torch.manual_seed(0)\n    z =")),
        "Without a generator every call gives the same images, so there is a fixed seed inside. "
        "Whoever wants to see the same samples twice can hand in a generator; nobody else should "
        "have to.",
    ),
    Misconception(
        "ps1_sample_prior",
        "generator not used",
        swapped(SAMPLE, ("generator=generator, ", "")),
        "`sample_prior` takes a `generator` and never uses it, so nobody can ask for the same "
        "samples twice. Follow it from the signature to the draw.",
    ),
    Misconception(
        "ps1_sample_prior",
        "no evaluation mode",
        swapped(
            SAMPLE,
            ("    mode = decoder.training\n", ""),
            ("    decoder.eval()\n", ""),
            ("    decoder.train(mode)\n", ""),
        ),
        "The decoder draws in the mode in which it is found. In training mode BatchNorm would let "
        "the samples of a batch depend on each other, and could not take a single one.",
    ),
    Misconception(
        "ps1_sample_prior",
        "gradients tracked",
        swapped(SAMPLE, ("with torch.no_grad():\n        images", "images")),
        "The images that come back still drag along the graph of all that was computed for them. "
        "Samples to look at need no gradients.",
    ),
    Misconception(
        "ps1_sample_prior",
        "codes drawn on the CPU",
        swapped(SAMPLE, (", device=device", "")),
        "Your codes are made on the CPU, wherever the decoder is, so on a GPU the two cannot come "
        "together. Where is the decoder, and how can you ask it?",
    ),
)

NOT_SEEN: dict[str, str] = {
    "19 shuffle off": "The loader comes from given code; what a student writes only receives it.",
    "24 interpolation omits the end point": "ps1 has no interpolation; it belongs to ps2.",
    "27 BatchNorm with a batch of one in training mode": (
        "It is what a forgotten evaluation mode does to a single image, and no check can tell it "
        "from that: see 'reconstruct without evaluation mode' and 'no evaluation mode'."
    ),
}

EQUIVALENT: dict[str, str] = {
    (
        "ps1_encoder: - (0.2), nn.Conv2d(128, 256, kernel_size=3, stride=2), "
        "nn.BatchNorm2d(256), nn.LeakyReLU(0.2; + (0.2), nn.Conv2d(128, 256, "
        "kernel_size=3), nn.BatchNorm2d(256), nn.LeakyReLU(0.2"
    ): ("The map is 1x1 by then, so there is nowhere to go."),
    (
        "ps1_fault: - for label, distance in zip(labels.tolist(), distances.tolist(), "
        "strict=True):; + for label, distance in zip(labels.tolist(), "
        "distances.tolist(), strict=False):"
    ): ("Both lists have one entry an image."),
    (
        "ps1_fault: - for label, distance in zip(labels.tolist(), distances.tolist(), "
        "strict=True):; + for label, distance in zip(labels.tolist(), "
        "distances.tolist()):"
    ): ("Both lists have one entry an image."),
    (
        "ps1_fault: - distances = squared_error(model(images), images); + distances = "
        "squared_error(images, model(images))"
    ): ("A squared difference has no direction."),
    (
        "ps1_pca: - directions = torch.linalg.svd(train - mean, "
        "full_matrices=False).Vh[:num_components]; + directions = torch.linalg.svd(train "
        "- mean, full_matrices=True).Vh[:num_components]"
    ): ("The first directions are the same; the others are not used."),
    (
        "ps1_pca: - directions = torch.linalg.svd(train - mean, "
        "full_matrices=False).Vh[:num_components]; + directions = torch.linalg.svd(train "
        "- mean).Vh[:num_components]"
    ): ("The first directions are the same; the others are not used."),
}
"""Mutants of the right answer that change nothing, and why."""
