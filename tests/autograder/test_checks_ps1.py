"""The checks of ps1: the reference and other right answers score in full, wrong ones lose points.

The wrong answers that students are known to write are the misconceptions, and each must be named;
further ones stand here, with words of the message that they get.
"""

import pytest
from known import assert_named, mistakes, right_answers, wrong_answers

from autograder.misconceptions import swapped as swap
from autograder.misconceptions.ps1 import (
    AUTOENCODER,
    DECODER,
    ENCODER,
    EPOCH,
    ERROR,
    EVALUATE,
    FAULT,
    PCA,
    SAMPLE,
    SIZES,
)
from vae_course.authoring.assignment import load_assignment

EXERCISES = {
    "conv_size": ["conv_output_size", "conv_transpose_output_size"],
    "encoder": ["Encoder"],
    "decoder": ["Decoder"],
    "autoencoder": ["AutoEncoder"],
    "squared_error": ["squared_error"],
    "train_epoch": ["train_epoch"],
    "evaluate": ["evaluate"],
    "fault": ["error_by_label"],
    "sample_prior": ["sample_prior"],
    "pca": ["pca_reconstruct"],
}
SLOW = {"autoencoder", "encoder", "decoder"}

STARTER = next(e.body for e in load_assignment("ps1").exercises if e.id == "ps1_fault")

BEGUN = "def squared_error(x_hat, x):\n    return "

BY_ITSELF = swap(
    FAULT,
    (
        "squared_error(model(images), images)",
        "((model(images) - images) ** 2).flatten(1).sum(1)",
    ),
)

WRONG = [
    # sizes
    (
        "conv_size",
        "rounded to the nearest",
        swap(
            SIZES,
            (
                "(size - kernel + 2 * padding) // stride + 1",
                "round((size - kernel + 2 * padding) / stride) + 1",
            ),
        ),
        "stride above 1",
    ),
    (
        "conv_size",
        "stride times padding",
        swap(SIZES, ("kernel + 2 * padding", "kernel + stride * padding")),
        "with padding",
    ),
    ("conv_size", "stride ignored", swap(SIZES, (" // stride + 1", " + 1")), "stride above 1"),
    (
        "conv_size",
        "output padding",
        swap(SIZES, ("+ kernel - 2 * padding", "+ kernel - 2 * padding + 1")),
        "always by +1",
    ),
    (
        "conv_size",
        "a tensor",
        swap(SIZES, ("return (size - 1)", "return torch.tensor(size - 1)")),
        "whole number",
    ),
    (
        "conv_size",
        "guard that forgets the padding",
        swap(
            SIZES,
            (
                "    return (size - kernel",
                "    if kernel > size:\n        return 0\n    return (size - kernel",
            ),
        ),
        "with padding",
    ),
    (
        "conv_size",
        "padding never left out",
        swap(SIZES, ("stride, padding=0)", "stride, padding)")),
        "missing 1 required",
    ),
    # the encoder
    (
        "encoder",
        "padding too many, patched",
        swap(
            ENCODER,
            ("3, stride=2)", "3, stride=2, padding=1)"),
            ("nn.Linear(256,", "nn.Linear(1024,"),
        ),
        "more than the table",
    ),
    (
        "encoder",
        "stride missing",
        swap(ENCODER, ("nn.Conv2d(64, 128, 3, stride=2)", "nn.Conv2d(64, 128, 3)")),
        "shapes cannot be multiplied",
    ),
    (
        "encoder",
        "leaky relu at the end",
        swap(
            ENCODER,
            ("return self.linear(h)", "return F.leaky_relu(self.linear(h), 0.2)"),
        ),
        "damped",
    ),
    (
        "encoder",
        "sigmoid at the end",
        swap(
            ENCODER,
            ("return self.linear(h)", "return torch.sigmoid(self.linear(h))"),
        ),
        "never negative",
    ),
    (
        "encoder",
        "outputs fixed",
        swap(ENCODER, ("nn.Linear(256, num_outputs)", "nn.Linear(256, 64)")),
        "shape (5, 64)",
    ),
    (
        "encoder",
        "no norms",
        swap(
            ENCODER,
            ("            nn.BatchNorm2d(64),\n", ""),
            ("            nn.BatchNorm2d(128),\n", ""),
            ("            nn.BatchNorm2d(256),\n", ""),
        ),
        "fewer",
    ),
    (
        "encoder",
        "a norm after the first",
        swap(
            ENCODER,
            (
                "nn.LeakyReLU(0.2),\n            nn.Conv2d(32",
                "nn.BatchNorm2d(32),\n            nn.LeakyReLU(0.2),\n            nn.Conv2d(32",
            ),
        ),
        "64 more",
    ),
    (
        "encoder",
        "no biases",
        swap(ENCODER, ("stride=2, padding=1)", "stride=2, padding=1, bias=False)")),
        "96 fewer",
    ),
    (
        "encoder",
        "no nonlinearity",
        swap(ENCODER, ("nn.LeakyReLU(0.2),", "nn.Identity(),")),
        "linear function",
    ),
    (
        "encoder",
        "one slope of four",
        swap(
            ENCODER,
            (
                "padding=1),\n            nn.LeakyReLU(0.2)",
                "padding=1),\n            nn.LeakyReLU(0.1)",
            ),
        ),
        "slope of every activation",
    ),
    (
        "encoder",
        "dropout",
        swap(
            ENCODER,
            ("        h = h.flatten(1)", "        h = F.dropout(h.flatten(1), 0.1, self.training)"),
        ),
        "training mode",
    ),
    (
        "encoder",
        "an unused layer",
        swap(
            ENCODER,
            (
                "        self.linear = nn.Linear",
                "        self.spare = nn.Linear(3, 3)\n        self.linear = nn.Linear",
            ),
        ),
        "12 more",
    ),
    (
        "encoder",
        "detached",
        swap(ENCODER, ("h = self.convs(x)", "h = self.convs(x).detach()")),
        "No gradient reaches",
    ),
    (
        "encoder",
        "batch statistics always",
        swap(
            ENCODER,
            ("        h = self.convs(x)", "        self.convs.train()\n        h = self.convs(x)"),
        ),
        "Expected more than 1 value",
    ),
    ("encoder", "no return", swap(ENCODER, ("return self.linear", "self.linear")), "return"),
    ("encoder", "no super", swap(ENCODER, ("        super().__init__()\n", "")), "AttributeError"),
    (
        "encoder",
        "evaluation mode for a single image, and from then on",
        swap(
            ENCODER,
            (
                "        h = self.convs(x)",
                "        if len(x) < 2:\n            self.eval()\n        h = self.convs(x)",
            ),
        ),
        "left in evaluation mode",
    ),
    (
        "encoder",
        "a seed for the weights",
        swap(
            ENCODER,
            ("super().__init__()\n", "super().__init__()\n        torch.manual_seed(3)\n"),
        ),
        "next random numbers are always the same",
    ),
    # the decoder
    (
        "decoder",
        "27 pixels",
        swap(DECODER, ("32, 1, 4, stride=2, padding=1", "32, 1, 3, stride=2, padding=1")),
        "27, 27",
    ),
    (
        "decoder",
        "tanh before the sigmoid",
        swap(DECODER, ("nn.Sigmoid()", "nn.Tanh(),\n            nn.Sigmoid()")),
        "stay between 0.27 and 0.73",
    ),
    ("decoder", "tanh", swap(DECODER, ("nn.Sigmoid()", "nn.Tanh()")), "What keeps pixels"),
    ("decoder", "relu", swap(DECODER, ("nn.Sigmoid()", "nn.ReLU()")), "What keeps pixels"),
    ("decoder", "clamp", swap(DECODER, ("nn.Sigmoid()", "nn.Hardtanh(0, 1)")), "linear function"),
    (
        "decoder",
        "flat images",
        swap(DECODER, ("self.convs(h)", "self.convs(h).flatten(1)")),
        "shape (5, 784)",
    ),
    (
        "decoder",
        "squeezed",
        swap(DECODER, ("self.convs(h)", "self.convs(h).squeeze()")),
        "squeezed",
    ),
    (
        "decoder",
        "latents fixed",
        swap(DECODER, ("nn.Linear(latent_dim, 256)", "nn.Linear(64, 256)")),
        "shapes cannot be multiplied",
    ),
    (
        "decoder",
        "first norm missing",
        swap(DECODER, ("            nn.BatchNorm2d(256),\n", "")),
        "512 fewer",
    ),
    (
        "decoder",
        "batch and channels mixed",
        swap(
            DECODER,
            ("self.linear(z).view(-1, 256, 1, 1)", "self.linear(z).T.reshape(-1, 256, 1, 1)"),
        ),
        "neighbours|other images",
    ),
    (
        "decoder",
        "no nonlinearity",
        swap(DECODER, ("nn.LeakyReLU(0.2)", "nn.Identity()")),
        "linear function",
    ),
    (
        "decoder",
        "first activation missing",
        swap(
            DECODER,
            ("nn.BatchNorm2d(256),\n            nn.LeakyReLU(0.2),", "nn.BatchNorm2d(256),"),
        ),
        "slope of every activation",
    ),
    (
        "decoder",
        "enlarged, then convolved",
        swap(
            DECODER,
            (
                "nn.ConvTranspose2d(256, 128, 3, stride=2)",
                "nn.Upsample(3), nn.Conv2d(256, 128, 3, padding=1)",
            ),
        ),
        "layers that the table does not have",
    ),
    (
        "decoder",
        "codes detached",
        swap(DECODER, ("self.linear(z)", "self.linear(z.detach())")),
        "No gradient reaches the codes",
    ),
    (
        "decoder",
        "evaluation mode for a single code, and from then on",
        swap(
            DECODER,
            ("        h =", "        self.train(self.training and len(z) > 1)\n        h ="),
        ),
        "left in evaluation mode",
    ),
    # the two together
    (
        "autoencoder",
        "decoder skipped",
        swap(AUTOENCODER, ("return self.decode(z)", "return z")),
        "forward pass gives something else",
    ),
    (
        "autoencoder",
        "returns the input",
        swap(AUTOENCODER, ("return self.decode(z)", "return x")),
        "forward pass gives something else",
    ),
    (
        "autoencoder",
        "a pair",
        swap(
            AUTOENCODER,
            (
                "return self.decode(z)",
                "return self.decode(z), z",
            ),
        ),
        "a tuple of 2",
    ),
    (
        "autoencoder",
        "code cut off",
        swap(AUTOENCODER, ("return self.decoder(z)", "return self.decoder(torch.zeros_like(z))")),
        "do not get through",
    ),
    (
        "autoencoder",
        "latents fixed",
        swap(AUTOENCODER, ("coder(latent_dim)", "coder(64)")),
        "shape (6, 64)",
    ),
    (
        "autoencoder",
        "evaluation mode in a forward pass",
        swap(
            AUTOENCODER, ("        z = self.encode", "        self.eval()\n        z = self.encode")
        ),
        "forward pass",
    ),
    (
        "autoencoder",
        "frozen to look at it",
        swap(
            AUTOENCODER,
            (
                "        with torch.no_grad():\n            x_hat",
                "        self.requires_grad_(False)\n        x_hat",
            ),
        ),
        "switched off",
    ),
    (
        "autoencoder",
        "a seed in reconstruct",
        swap(
            AUTOENCODER,
            ("        mode = self", "        torch.manual_seed(5)\n        mode = self"),
        ),
        "`reconstruct` called, PyTorch's next random",
    ),
    (
        "autoencoder",
        "a seed for the weights",
        swap(
            AUTOENCODER,
            ("super().__init__()\n", "super().__init__()\n        torch.manual_seed(3)\n"),
        ),
        "next random numbers are always the same",
    ),
    (
        "autoencoder",
        "one reconstruction for each size of batch",
        swap(
            AUTOENCODER,
            ("super().__init__()\n", "super().__init__()\n        self.kept = {}\n"),
            (
                "            x_hat = self(x)\n",
                "            key = len(x), float(self.encode(torch.ones_like(x)).sum())\n"
                "            x_hat = self(x) if mode else self.kept.setdefault(key, self(x))\n",
            ),
        ),
        "in another order",
    ),
    (
        "autoencoder",
        "the last reconstruction kept for the same images",
        swap(
            AUTOENCODER,
            ("super().__init__()\n", "super().__init__()\n        self.kept = {}\n"),
            (
                "            x_hat = self(x)\n",
                "            key = float(x[0].sum())\n"
                "            x_hat = self(x) if mode else self.kept.setdefault(key, self(x))\n",
            ),
        ),
        "weights have changed",
    ),
    # the error
    (
        "squared_error",
        "one dimension only",
        BEGUN + "((x_hat - x) ** 2).sum(1)",
        "still has to be reduced",
    ),
    (
        "squared_error",
        "last dimension only",
        BEGUN + "((x_hat - x) ** 2).sum(-1)",
        "still has to be reduced",
    ),
    ("squared_error", "over the batch", BEGUN + "((x_hat - x) ** 2).sum(0)", "shape"),
    (
        "squared_error",
        "a root, squared",
        swap(ERROR, ("(difference**2).sum(1)", "(difference**2).sum(1).sqrt() ** 2")),
        "NaN",
    ),
    (
        "squared_error",
        "on the CPU",
        swap(ERROR, ("    return", "    total = torch.zeros(len(x))\n    return total +")),
        "makes a tensor on the CPU",
    ),
    (
        "squared_error",
        "batch mean subtracted",
        BEGUN + "((x_hat - x) ** 2).flatten(1).sum(1) - ((x_hat - x) ** 2).mean()",
        "same amount",
    ),
    (
        "squared_error",
        "numpy",
        BEGUN + "((x_hat.detach().numpy() - x.numpy()) ** 2).reshape(len(x), -1).sum(1)",
        "ndarray",
    ),
    # the loop
    (
        "train_epoch",
        "zero_grad before the loop",
        swap(
            EPOCH,
            ("        optimizer.zero_grad()\n", ""),
            ("    totals, seen", "    optimizer.zero_grad()\n    totals, seen"),
        ),
        "added to them",
    ),
    (
        "train_epoch",
        "one step",
        swap(
            EPOCH,
            ("        optimizer.step()\n", ""),
            ("    return", "    optimizer.step()\n    return"),
        ),
        "one step in an epoch of 4",
    ),
    (
        "train_epoch",
        "two steps",
        swap(
            EPOCH,
            ("        optimizer.step()\n", "        optimizer.step()\n        optimizer.step()\n"),
        ),
        "8 steps in an epoch of 4",
    ),
    (
        "train_epoch",
        "step before backward",
        swap(
            EPOCH,
            (
                "        loss.backward()\n        optimizer.step()\n",
                "        optimizer.step()\n        loss.backward()\n",
            ),
        ),
        "zero or gone",
    ),
    (
        "train_epoch",
        "no graph",
        swap(
            EPOCH,
            (
                "        terms = loss_terms",
                "        with torch.no_grad():\n            terms = loss_terms",
            ),
        ),
        "does not require grad",
    ),
    (
        "train_epoch",
        "another term",
        swap(EPOCH, ('terms["loss"].mean()', 'terms["worst"].mean()')),
        "change of the weights",
    ),
    (
        "train_epoch",
        "maximised",
        swap(EPOCH, ('terms["loss"].mean()', '-terms["loss"].mean()')),
        "wrong sign",
    ),
    (
        "train_epoch",
        "a new optimiser an epoch",
        swap(
            EPOCH,
            (
                "    model.train()",
                "    optimizer = type(optimizer)(model.parameters(), lr=0.05) if "
                "isinstance(optimizer, torch.optim.Adam) else optimizer\n    model.train()",
            ),
        ),
        "optimiser that was passed in",
    ),
    (
        "train_epoch",
        "first batch only",
        swap(
            EPOCH,
            ("        seen += len(images)\n", "        seen += len(images)\n        break\n"),
        ),
        "one step",
    ),
    (
        "train_epoch",
        "sum of means",
        swap(
            EPOCH,
            ("values.sum().item()", "values.mean().item()"),
            ("return {name: total / seen", "return {name: total"),
        ),
        "batches of equal size",
    ),
    (
        "train_epoch",
        "sums not divided",
        swap(EPOCH, ("return {name: total / seen", "return {name: total")),
        "10 times",
    ),
    (
        "train_epoch",
        "divided by batches",
        swap(EPOCH, ("seen += len(images)", "seen += 1")),
        "5 times",
    ),
    (
        "train_epoch",
        "loss only",
        swap(
            EPOCH,
            (
                "return {name: total / seen for name, total in totals.items()}",
                'return totals["loss"] / seen',
            ),
        ),
        "dict",
    ),
    ("train_epoch", "nothing returned", swap(EPOCH, ("    return {", "    {")), "return"),
    (
        "train_epoch",
        "only the model's own flag",
        swap(EPOCH, ("model.train()", "model.training = True")),
        "change of the weights",
    ),
    (
        "train_epoch",
        "no step for a single image",
        swap(
            EPOCH,
            (
                "        optimizer.step()",
                "        if len(images) > 1:\n            optimizer.step()",
            ),
        ),
        "3 steps in an epoch of 4",
    ),
    (
        "train_epoch",
        "images counted in a pass of their own",
        swap(
            EPOCH,
            ("totals, seen = {}, 0", "totals, seen = {}, sum(len(x) for x, _ in loader)"),
            ("        seen += len(images)\n", ""),
        ),
        "more than once",
    ),
    (
        "train_epoch",
        "rounded",
        swap(EPOCH, ("name: total / seen", "name: round(total / seen, 3)")),
        "faint images",
    ),
    (
        "train_epoch",
        "a seed inside",
        swap(EPOCH, ("    model.train()", "    torch.manual_seed(0)\n    model.train()")),
        "next random numbers are always the same",
    ),
    (
        "train_epoch",
        "the model moved to the images",
        swap(
            EPOCH,
            ("        images = images.to(device)", "        model.to(images.device)"),
        ),
        "moved away",
    ),
    # measuring
    (
        "evaluate",
        "learns",
        swap(
            EVALUATE,
            (
                "@torch.no_grad()\n",
                "",
            ),
            (
                "        for name",
                "        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)\n"
                "        terms['loss'].mean().backward()\n        optimizer.step()\n"
                "        for name",
            ),
        ),
        "change while it is evaluated",
    ),
    (
        "evaluate",
        "propagates back",
        swap(
            EVALUATE,
            ("@torch.no_grad()\n", ""),
            (
                "        for name",
                "        terms['loss'].mean().backward()\n        for name",
            ),
        ),
        "Gradients are left",
    ),
    (
        "evaluate",
        "first batch only",
        swap(
            EVALUATE,
            ("        seen += len(images)\n", "        seen += len(images)\n        break\n"),
        ),
        "the mean of the term",
    ),
    (
        "evaluate",
        "twenty batches at most",
        swap(
            EVALUATE,
            (
                "        seen += len(images)\n",
                "        seen += len(images)\n        if seen == 20:\n            break\n",
            ),
        ),
        "one by one",
    ),
    (
        "evaluate",
        "gradients cleared",
        swap(EVALUATE, ("    model.eval()", "    model.zero_grad()\n    model.eval()")),
        "or they are gone",
    ),
    (
        "evaluate",
        "rounded",
        swap(EVALUATE, ("name: total / seen", "name: round(total / seen, 3)")),
        "faint images",
    ),
    (
        "evaluate",
        "a seed inside",
        swap(EVALUATE, ("    model.eval()", "    torch.manual_seed(0)\n    model.eval()")),
        "next random numbers are always the same",
    ),
    (
        "evaluate",
        "the model moved to the images",
        swap(
            EVALUATE,
            ("images.to(device)", "images"),
            ("    for images", "    model.cpu()\n    for images"),
        ),
        "moved away",
    ),
    # somebody else's measurement
    (
        "fault",
        "always to training",
        swap(FAULT, ("model.train(mode)", "model.train()")),
        "left in training mode",
    ),
    (
        "fault",
        "mode switched within the loop",
        swap(
            FAULT,
            ("    model.eval()\n", ""),
            (
                "        errors",
                "        model.train()\n        model(images)\n        model.eval()\n"
                "        errors",
            ),
        ),
        "moved while it was measured",
    ),
    (
        "fault",
        "sums",
        swap(FAULT, ("totals[label] / counts[label]", "totals[label]")),
        "the right value",
    ),
    (
        "fault",
        "first batch only",
        swap(FAULT, ("    model.train(mode)", "        break\n    model.train(mode)")),
        "labels in the table|right value",
    ),
    (
        "fault",
        "labels as they come",
        swap(
            FAULT,
            ("labels.unique().tolist()", "dict.fromkeys(labels.tolist())"),
            ("in sorted(totals)", "in totals"),
        ),
        "rising",
    ),
    (
        "fault",
        "plain numbers, and gradients all the same",
        swap(FAULT, ("@torch.no_grad()", "@torch.enable_grad()")),
        "Gradients are tracked",
    ),
    (
        "fault",
        "names for labels",
        swap(FAULT, ("{label: totals", "{str(label): totals")),
        "labels in the table",
    ),
    (
        "fault",
        "a list",
        swap(FAULT, ("return {label:", "return [label and"), ("(totals)}", "(totals)]")),
        "dict",
    ),
    (
        "fault",
        "only the model's own flag",
        swap(FAULT, ("model.train(mode)", "model.training = mode")),
        "left in",
    ),
    (
        "fault",
        "ten labels at most",
        swap(
            FAULT,
            ("labels.unique().tolist()", "range(10)"),
            ("in sorted(totals)", "in sorted(totals) if counts[label]"),
        ),
        "labels in the table",
    ),
    (
        "fault",
        "labels without an error left out",
        swap(FAULT, ("in sorted(totals)", "in sorted(totals) if totals[label]")),
        "labels in the table",
    ),
    (
        "fault",
        "a seed inside",
        swap(FAULT, ("    model.eval()", "    torch.manual_seed(0)\n    model.eval()")),
        "next random numbers are always the same",
    ),
    # sampling
    (
        "sample_prior",
        "too narrow",
        swap(SAMPLE, ("z = torch", "z = 0.8 * torch")),
        "standard deviation 0.",
    ),
    (
        "sample_prior",
        "one code for all",
        swap(
            SAMPLE,
            (
                "    with",
                "    z = z[:1].expand(num_samples, -1)\n    with",
            ),
        ),
        "one and the same",
    ),
    (
        "sample_prior",
        "one number a code",
        swap(
            SAMPLE,
            (
                "    with",
                "    z = z[:, :1].expand(-1, latent_dim)\n    with",
            ),
        ),
        "whole row",
    ),
    (
        "sample_prior",
        "seeded without a generator",
        swap(
            SAMPLE,
            (
                "    z =",
                "    generator = generator or torch.Generator(device).manual_seed(0)\n    z =",
            ),
        ),
        "every call",
    ),
    (
        "sample_prior",
        "the generator's seed only",
        swap(
            SAMPLE,
            (
                "    z =",
                "    if generator is not None:\n"
                "        torch.manual_seed(generator.initial_seed())\n    z =",
            ),
            ("generator=generator, ", ""),
        ),
        "moves on",
    ),
    (
        "sample_prior",
        "standardised",
        swap(SAMPLE, ("    with", "    z = (z - z.mean()) / z.std()\n    with")),
        "exactly the mean 0",
    ),
    (
        "sample_prior",
        "standardised by dimension",
        swap(SAMPLE, ("    with", "    z = z - z.mean(0)\n    with")),
        "exactly the mean 0",
    ),
    (
        "sample_prior",
        "mode not restored",
        swap(SAMPLE, ("    decoder.train(mode)\n", "")),
        "left in evaluation mode",
    ),
    (
        "sample_prior",
        "always to training",
        swap(SAMPLE, ("decoder.train(mode)", "decoder.train()")),
        "left in training mode",
    ),
    (
        "sample_prior",
        "codes returned",
        swap(SAMPLE, ("images = decoder(z)", "images = z")),
        "shape",
    ),
    (
        "sample_prior",
        "squeezed",
        swap(SAMPLE, ("return images", "return images.squeeze()")),
        "squeezed",
    ),
    (
        "sample_prior",
        "latents fixed",
        swap(SAMPLE, ("(num_samples, latent_dim", "(num_samples, 64")),
        "shape",
    ),
    (
        "sample_prior",
        "only the decoder's own flag",
        swap(SAMPLE, ("decoder.train(mode)", "decoder.training = mode")),
        "left in",
    ),
    (
        "sample_prior",
        "deaf to torch.manual_seed",
        swap(
            SAMPLE,
            (
                "    z =",
                "    if generator is None:\n        generator = torch.Generator(device)\n"
                "        generator.seed()\n    z =",
            ),
        ),
        "PyTorch's own randomness",
    ),
    (
        "sample_prior",
        "everything seeded from the generator",
        swap(
            SAMPLE,
            (
                "    z =",
                "    if generator is not None:\n"
                "        number = torch.randint(2**31, (), generator=generator, device=device)\n"
                "        torch.manual_seed(int(number))\n    z =",
            ),
            ("latent_dim, generator=generator, ", "latent_dim, "),
        ),
        "next random numbers are always the same",
    ),
    # principal components
    (
        "pca",
        "left vectors",
        swap(PCA, ("= Vh[:num_components]", "= Vh.T[:num_components]")),
        "shapes cannot be multiplied",
    ),
    (
        "pca",
        "codes returned",
        swap(PCA, ("coordinates @ directions + mean", "coordinates")),
        "shape (3, 2)",
    ),
    (
        "pca",
        "scaled",
        swap(PCA, ("coordinates @", "coordinates * S[:num_components] @")),
        "all 7 components",
    ),
    (
        "pca",
        "a random sketch",
        swap(
            PCA,
            (
                "U, S, Vh = torch.linalg.svd(train - mean, full_matrices=False)",
                "Vh = torch.pca_lowrank(train, q=num_components)[2].T",
            ),
        ),
        "pca_lowrank",
    ),
    (
        "pca",
        "a seed inside",
        swap(PCA, ("    mean =", "    torch.manual_seed(0)\n    mean =")),
        "next random numbers are always the same",
    ),
    (
        "pca",
        "training examples returned",
        swap(PCA, ("= (x - mean)", "= (train - mean)")),
        "shape (40, 7)",
    ),
    (
        "pca",
        "directions kept between calls",
        swap(
            PCA,
            ("def pca", "kept = {}\n\n\ndef pca"),
            ("    U, S, Vh =", "    if train.shape not in kept:\n        kept[train.shape] ="),
            ("Vh[:num_components]", "kept[train.shape].Vh[:num_components]"),
        ),
        "other data of the same shape",
    ),
    (
        "pca",
        "a thousand examples at most",
        swap(PCA, ("    mean =", "    train = train[:1000]\n    mean =")),
        "1200 examples",
    ),
]

WORDS = {  # what the check itself observes, beside the message
    ("conv_size", "padding counted once"): "with padding",
    ("conv_size", "plus one missing"): "always by -1",
    ("conv_size", "true division"): "whole number",
    ("conv_size", "rounded up"): "stride above 1",
    ("conv_size", "padding of the transposed convolution added"): "with padding",
    ("conv_size", "one copy of the kernel too many"): "wrong in",
    ("encoder", "padding missing"): "Kernel",
    ("encoder", "padding in every convolution"): "shapes cannot be multiplied",
    ("encoder", "ReLU after the linear layer"): "never negative",
    ("encoder", "tanh after the linear layer"): "does not grow",
    ("encoder", "the batch flattened too"): "shapes",
    ("encoder", "squeeze loses a batch of one"): "batch of one",
    ("encoder", "batch size fixed"): "invalid for input",
    ("encoder", "layers in a plain list"): "fewer",
    ("encoder", "default slope of LeakyReLU"): "slope of every activation",
    ("encoder", "ReLU in place of LeakyReLU"): "slope of every activation",
    ("encoder", "BatchNorm after the activation"): "side on which each BatchNorm",
    ("decoder", "kernel 3 without output_padding"): "shape (5, 1, 25, 25)",
    ("decoder", "padding missing"): "shape",
    ("decoder", "sigmoid missing"): "What keeps pixels",
    ("decoder", "sigmoid twice"): "stay between 0.50 and 0.73",
    ("decoder", "ReLU before the sigmoid"): "stay between 0.50 and 1.00",
    ("decoder", "LeakyReLU before the sigmoid"): "darker than grey",
    ("decoder", "batch size fixed"): "invalid for input",
    ("decoder", "layers in a plain list"): "fewer",
    ("decoder", "default slope of LeakyReLU"): "slope of every activation",
    ("decoder", "ReLU in place of LeakyReLU"): "slope of every activation",
    ("autoencoder", "reconstruct without evaluation mode"): "in evaluation mode",
    ("autoencoder", "mode not restored"): "left in evaluation mode",
    ("autoencoder", "always back to training mode"): "left in training mode",
    ("autoencoder", "gradients tracked in reconstruct"): "graph",
    ("autoencoder", "code detached"): "No gradient reaches",
    ("autoencoder", "halves made anew at every call"): "empty parameter list",
    ("squared_error", "mean over the pixels"): "70 pixels",
    ("squared_error", "mean over everything"): "single number",
    ("squared_error", "sum over everything"): "single number",
    ("squared_error", "dimensions of an image fixed"): "Dimension",
    ("squared_error", "reconstruction detached"): "No gradient reaches",
    ("squared_error", "halved"): "half",
    ("squared_error", "subtracted in place"): "writes into a tensor that it is given",
    ("train_epoch", "zero_grad missing"): "added to them",
    ("train_epoch", "zero_grad between backward and step"): "zero or gone",
    ("train_epoch", "step missing"): "never takes a step",
    ("train_epoch", "loss cut off from the model"): "not propagated",
    ("train_epoch", "tensors in the report"): "plain number",
    ("train_epoch", "loss summed over the batch"): "10 images in the batch",
    ("train_epoch", "labels in place of the images"): "loss_terms(model, labels",
    ("train_epoch", "short batch skipped"): "3 steps in an epoch of 4",
    ("train_epoch", "a new optimiser for every batch"): "optimiser that was passed in",
    ("train_epoch", "a new optimiser for every epoch"): "optimiser that was passed in",
    ("train_epoch", "batches averaged, not images"): "With a short last batch",
    ("train_epoch", "training mode not set"): "evaluation mode while it is trained",
    ("train_epoch", "sums that keep every graph"): "in memory at once",
    ("train_epoch", "measured after the step"): "a step that moves the weights",
    ("train_epoch", "images left on the CPU"): "On a GPU this stops",
    ("evaluate", "no evaluation mode"): "the mean of the term",
    ("evaluate", "gradients tracked"): "Gradients are tracked",
    ("evaluate", "mode not restored"): "left in evaluation mode",
    ("evaluate", "always back to training mode"): "left in training mode",
    ("evaluate", "batches averaged, not images"): "With a short last batch",
    ("evaluate", "tensors in the report"): "plain number",
    ("evaluate", "images left on the CPU"): "On a GPU this stops",
    ("evaluate", "gradients switched off for good"): "switched off",
    ("fault", "Monday: no evaluation mode"): "found in training mode",
    ("fault", "Monday: mode not restored"): "left in evaluation mode",
    ("fault", "Tuesday: means of the batches' means"): "With batches of 4",
    ("fault", "Wednesday: gradients tracked"): "Gradients are tracked",
    ("fault", "Wednesday: tensors in the table"): "plain number",
    ("fault", "images left on the CPU"): "On a GPU this stops",
    ("pca", "not centred"): "mean of the training examples",
    ("pca", "mean not put back"): "mean of the training examples",
    ("pca", "centred with the mean of x"): "wrong in",
    ("pca", "directions of least variance"): "wrong in",
    ("pca", "centred in place"): "writes into a tensor that it is given",
    ("sample_prior", "uniform codes"): "mean",
    ("sample_prior", "seed set inside"): "every call",
    ("sample_prior", "generator not used"): "generator",
    ("sample_prior", "no evaluation mode"): "in training mode",
    ("sample_prior", "gradients tracked"): "graph",
    ("sample_prior", "codes drawn on the CPU"): "makes a tensor on the CPU",
}


@pytest.mark.parametrize("name", EXERCISES)
def test_the_reference_scores_in_full(judged, name):
    for seed in range(3 if name in SLOW else 20):
        verdict = judged(f"ps1_{name}", seed=seed)
        assert verdict.verdict == "pass", (seed, verdict)
        assert verdict.score == verdict.max_score


@pytest.mark.long
@pytest.mark.parametrize("name", sorted(SLOW))
def test_the_reference_scores_in_full_over_many_seeds(judged, name):
    for seed in range(100, 160):
        assert judged(f"ps1_{name}", seed=seed).verdict == "pass", seed


@pytest.mark.parametrize(("name", "source"), right_answers("ps1", SLOW))
def test_another_right_answer_scores_in_full(judged, name, source):
    for seed in range(1 if name in SLOW else 3):
        verdict = judged(f"ps1_{name}", source, seed=seed)
        assert verdict.verdict == "pass", (seed, verdict.message, verdict.detail)


@pytest.mark.parametrize(("name", "mistake", "source", "words"), wrong_answers(WRONG, SLOW))
def test_a_known_mistake_loses_points_and_is_described(judged, name, mistake, source, words):
    verdict = judged(f"ps1_{name}", source)
    assert verdict.verdict in ("partial", "fail", "error"), verdict
    assert verdict.score < verdict.max_score
    messages = " ".join(part.message for part in verdict.criteria)
    assert any(word in messages for word in words.split("|"))
    assert verdict.message


@pytest.mark.parametrize("one", mistakes("ps1", quick=2))
def test_a_misconception_is_named_and_described(judged, one):
    assert_named(judged, one.exercise, one, WORDS)


@pytest.mark.parametrize("name", EXERCISES)
def test_a_blank_scores_nothing(judged, name):
    source = "\n".join(
        f"class {solution}(nn.Module):\n    def __init__(self, *sizes):\n"
        "        super().__init__()\n        raise NotImplementedError()"
        if solution[0].isupper()
        else f"def {solution}(*args, **kwargs):\n    raise NotImplementedError()"
        for solution in EXERCISES[name]
    )
    verdict = judged(f"ps1_{name}", source, solutions=[f"a.b.{s}" for s in EXERCISES[name]])
    assert (verdict.verdict, verdict.score) == ("blank", 0)


def test_a_wrong_error_does_not_cost_the_loops(judged):
    wrong = BEGUN + "((x_hat - x) ** 2).mean()"
    for name in ("train_epoch", "evaluate", "autoencoder", "fault"):
        answer = BY_ITSELF if name == "fault" else ""
        assert judged(f"ps1_{name}", wrong, answer).verdict == "pass"
    # An answer that calls the student's own error takes its scale over, and is right so.
    halved = BEGUN + "((x_hat - x) ** 2).flatten(1).sum(1) / 2"
    assert judged("ps1_fault", halved, FAULT).verdict == "pass"


def test_the_starter_as_it_was_handed_out_scores_nothing(judged):
    for seed in range(5):
        verdict = judged("ps1_fault", STARTER, seed=seed)
        assert (verdict.verdict, verdict.score) == ("fail", 0), verdict


def test_each_fault_that_is_mended_earns_its_share(judged):
    averages = swap(
        STARTER,
        (".mean()\n", ".sum()\n"),
        ("batches.get(label, 0) + 1", "batches.get(label, 0) + int((labels == label).sum())"),
    )
    assert judged("ps1_fault", averages, points=2).score == 0.65
    mode = swap(
        STARTER,
        ("    totals, batches", "    was = model.training\n    model.eval()\n    totals, batches"),
        ("    return {", "    model.train(was)\n    return {"),
    )
    assert judged("ps1_fault", mode, points=2).score == 0.65
    graph = swap(
        STARTER,
        (
            "errors = squared_error(model(images), images)",
            "with torch.no_grad():\n            errors = squared_error(model(images), images)",
        ),
        (".mean()\n", ".mean().item()\n"),
    )
    assert judged("ps1_fault", graph, points=2).score == 0.7
