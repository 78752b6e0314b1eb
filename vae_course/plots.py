"""Every picture of the course.

Each function returns an image that a notebook shows when it is a cell's last expression, with a
text for those who can not see it. The colours are Okabe and Ito's eight and two more, which
colour-blind readers can tell apart; where colours are many, shapes and labels say the same again.
"""

import io
from collections.abc import Sequence

import torch
from IPython.display import Image
from matplotlib.figure import Figure
from torch import Tensor

DOTS_PER_INCH = 100
BLUE, ORANGE = "#0072B2", "#D55E00"
CLASS_COLOURS = (
    *("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9"),
    *("#D55E00", "#000000", "#F0E442", "#BBBBBB", "#332288"),
)
CLASS_MARKERS = "os^DvP*X<>"
TERM_LABELS = {
    "loss": "loss (nats per image)",
    "nll": "reconstruction: -log p(x|z) (nats per image)",
    "kl": "KL (nats per image)",
    "mse": "mean squared error (per pixel)",
}


def _picture(figure: Figure, alt: str) -> Image:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DOTS_PER_INCH)
    return Image(data=buffer.getvalue(), format="png", alt=alt)


def _draw_grid(
    images: Tensor,
    title: str,
    alt: str,
    columns: int,
    captions: Sequence[str] = (),
    row_labels: Sequence[str] = (),
) -> Image:
    """Draw images row by row, each with its caption above, each row with its label before it."""
    images = images.detach().float().cpu().reshape(len(images), *images.shape[-2:])
    _, height, width = images.shape
    zoom = max(1, 84 // width)  # a whole number of screen pixels for each pixel: no blur
    starts = range(0, len(images), columns)
    heads = [9 if any(captions[start : start + columns]) else 2 for start in starts]
    sheet = torch.ones(sum(heads) + len(starts) * height, columns * (width + 2) - 2)
    drawn_height, drawn_width = (zoom * side / DOTS_PER_INCH for side in sheet.shape)
    left = 1.25 if row_labels else 0.1
    size = max(left + drawn_width + 0.1, 0.09 * len(title)), drawn_height + 0.45
    figure = Figure(figsize=size)
    box = left / size[0], 0.05 / size[1], drawn_width / size[0], drawn_height / size[1]
    axes = figure.add_axes(box)
    bottom = 0
    for row, (start, head) in enumerate(zip(starts, heads, strict=True)):
        top, bottom = bottom + head, bottom + head + height
        for column, image in enumerate(images[start : start + columns]):
            x = column * (width + 2)
            sheet[top:bottom, x : x + width] = image
            for caption in captions[start + column :][:1]:
                axes.text(x + width / 2, top - 1, caption, ha="center", va="bottom", fontsize=9)
        if row_labels:
            middle = (top + bottom) / 2
            axes.text(-3, middle, row_labels[row], ha="right", va="center", fontsize=10)
    axes.imshow(sheet.numpy(), cmap="gray", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    axes.set_axis_off()
    figure.suptitle(title, y=1 - 0.12 / size[1], va="top", fontsize=11)
    return _picture(figure, alt)


def plot_images(
    images: Tensor, title: str, captions: Sequence[object] | None = None, columns: int = 8
) -> Image:
    """Show images (N, 1, H, W) with values in [0, 1] in a grid, with a caption each if given."""
    captions = [str(caption) for caption in captions] if captions is not None else []
    columns = min(columns, len(images))
    words = f", captioned {', '.join(captions)}" if captions else ""
    alt = f"{title}: {len(images)} in rows of {columns}{words}"
    return _draw_grid(images, title, alt, columns, captions)


def plot_samples(samples: Tensor, title: str = "Samples from the prior") -> Image:
    """Show generated images (N, 1, H, W) in a grid."""
    return plot_images(samples, title)


def plot_reconstructions(x: Tensor, x_hat: Tensor, title: str) -> Image:
    """Show up to ten images (N, 1, H, W) above what a model makes of them."""
    x, x_hat = x[:10], x_hat[:10]
    alt = f"{title}: {len(x)} images in the upper row, their reconstructions in the lower row"
    both = torch.cat([x.detach().cpu(), x_hat.detach().cpu()])
    return _draw_grid(both, title, alt, len(x), row_labels=["input", "reconstruction"])


def plot_interpolations(rows: Tensor, title: str) -> Image:
    """Show interpolations (R, F, 1, H, W): a row for each pair, F frames from start to end."""
    num_rows, num_frames = rows.shape[:2]
    captions = ["start", *[""] * (num_frames - 2), "end"]
    alt = f"{title}: {num_rows} rows of {num_frames} images, each from a start image to an end"
    return _draw_grid(rows.flatten(0, 1), title, alt, num_frames, captions)


def plot_curves(
    history: dict[str, list[dict[str, float]]],
    terms: Sequence[str] = ("loss",),
    title: str = "Training",
) -> Image:
    """Show how the terms of a history went, training and held-out images on the same axes.

    Where the held-out images were evaluated once more than the model was trained, the first
    evaluation is taken to stand at epoch 0, before any training.
    """
    terms = [terms] if isinstance(terms, str) else list(terms)
    figure = Figure(figsize=(4.6 * len(terms), 3.2), layout="constrained")
    last = []
    for axes, term in zip(figure.subplots(1, len(terms), squeeze=False)[0], terms, strict=True):
        label = TERM_LABELS.get(term, term)
        num_epochs = len(history["train"])
        for part, name, style, colour in (
            ("train", "training", "o-", BLUE),
            ("held_out", "held out", "s--", ORANGE),
        ):
            values = [float(entry[term]) for entry in history[part]]
            first = 0 if part == "held_out" and len(values) == num_epochs + 1 else 1
            epochs = range(first, first + len(values))
            axes.plot(epochs, values, style, color=colour, label=name, markersize=4)
            if values:
                last.append(f"{name} {label} ends at {values[-1]:.4g}")
        axes.set_xlabel("epoch")
        axes.set_title(label, fontsize=10)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    figure.suptitle(title, fontsize=11)
    return _picture(figure, f"{title}: curves over the epochs; {'; '.join(last)}")


def plot_latents(codes: Tensor, labels: Tensor, title: str) -> Image:
    """Show codes (N, 2) as points in the plane, with a colour and a shape for each label (N,)."""
    codes, labels = codes.detach().cpu(), torch.as_tensor(labels).cpu()
    classes = labels.unique().tolist()
    figure = Figure(figsize=(6, 5), layout="constrained")
    axes = figure.subplots()
    for index, label in enumerate(classes):
        points = codes[labels == label]
        colour = CLASS_COLOURS[index % len(CLASS_COLOURS)]
        marker = CLASS_MARKERS[index % len(CLASS_MARKERS)]
        look = {"c": colour, "marker": marker, "edgecolors": "#555555", "linewidths": 0.3}
        axes.scatter(*points.T.numpy(), s=18, alpha=0.7, **look)
        axes.scatter([], [], s=36, label=str(label), **look)
        axes.annotate(
            str(label),
            points.median(dim=0).values.tolist(),
            **{"ha": "center", "va": "center", "fontsize": 11, "fontweight": "bold"},
            bbox={"boxstyle": "circle,pad=0.2", "fc": "white", "ec": colour, "alpha": 0.9},
        )
    axes.set(title=title, xlabel="first coordinate", ylabel="second coordinate")
    axes.grid(alpha=0.3)
    figure.legend(loc="outside right center", title="label", frameon=False)
    alt = f"{title}: {len(codes)} codes in the plane, with labels {', '.join(map(str, classes))}"
    return _picture(figure, alt)
