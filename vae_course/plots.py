"""Every picture of the course.

Each function returns an image that a notebook shows when it is a cell's last expression, with a
text for those who cannot see it. Images may be grey, (N, 1, H, W), or in colour, (N, 3, H, W),
with values in [0, 1] (or bytes from 0 to 255). The colours of lines and points are Okabe and Ito's
eight and two more, which colour-blind readers can tell apart; where colours are many, shapes and
labels say the same again.
"""

import html
import io
import os
from base64 import b64encode
from collections.abc import Callable, Sequence

import numpy as np
import torch
from IPython.display import Image
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import imsave
from matplotlib.offsetbox import AnnotationBbox, OffsetImage
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
    return _shown(buffer, alt)


def _shown(buffer: io.BytesIO, alt: str) -> Image:
    # As metadata, because the IPython in Colab knows no argument `alt`.
    return Image(data=buffer.getvalue(), format="png", metadata={"alt": alt})


def _to_rgb(images: Tensor) -> Tensor:
    """Images, grey or in colour, as floats of shape (N, 3, H, W) in [0, 1] on the CPU."""
    images = images.detach().cpu()
    images = images / 255 if images.dtype == torch.uint8 else images.float()
    if images.ndim == 3:
        images = images.unsqueeze(1)
    if images.ndim != 4 or images.shape[1] not in (1, 3):
        raise ValueError(
            "a picture needs images of shape (N, 1, H, W) or (N, 3, H, W), not "
            f"{tuple(images.shape)}"
        )
    # Not a number has no colour: it shows as white, as paper does.
    return images.nan_to_num(nan=1.0).clamp(0, 1).expand(-1, 3, -1, -1)


def _draw_grid(
    images: Tensor,
    title: str,
    alt: str,
    columns: int,
    captions: Sequence[str] = (),
    row_labels: Sequence[str] = (),
) -> Image:
    """Draw images row by row, each with its caption above, each row with its label before it."""
    images = _to_rgb(images)
    _, _, height, width = images.shape
    # A whole number of screen pixels for each pixel, so that nothing blurs.
    zoom = max(1, 84 // width, min(2, 700 // (columns * (width + 2))))
    gap = max(2, -(-6 // zoom))
    starts = range(0, len(images), columns)
    heads = [-(-27 // zoom) if any(captions[s : s + columns]) else gap for s in starts]
    drawn_width = zoom * (columns * (width + gap) - gap)
    drawn_height = zoom * (sum(heads) + len(starts) * height)
    left = 125 if row_labels else 10
    size = max(left + drawn_width + 10, 9 * len(title)), drawn_height + 45
    figure = Figure(figsize=[side / DOTS_PER_INCH for side in size], dpi=DOTS_PER_INCH)
    figure.suptitle(title, y=1 - 12 / size[1], va="top", fontsize=11)
    places = []
    top = 40
    for row, (start, head) in enumerate(zip(starts, heads, strict=True)):
        top += zoom * head
        for column in range(len(images[start : start + columns])):
            x = left + column * zoom * (width + gap)
            places.append((top, x))
            for caption in captions[start + column :][:1]:
                middle = x + zoom * width / 2, size[1] - top + zoom / 2
                figure.text(*middle, caption, transform=None, ha="center", va="bottom", size=9)
        if row_labels:
            middle = left - 9, size[1] - top - zoom * height / 2
            figure.text(*middle, row_labels[row], transform=None, ha="right", va="center")
        top += zoom * height
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    page = torch.tensor(np.asarray(canvas.buffer_rgba()))[..., :3]
    # By hand, for matplotlib enlarges in double precision, which takes a hundred megabytes.
    pixels = (255 * images).round().to(torch.uint8).movedim(1, -1)
    pixels = pixels.repeat_interleave(zoom, 1).repeat_interleave(zoom, 2)
    for (y, x), block in zip(places, pixels, strict=True):
        page[y : y + zoom * height, x : x + zoom * width] = block
    buffer = io.BytesIO()
    imsave(buffer, page.numpy(), format="png")
    return _shown(buffer, alt)


def plot_images(
    images: Tensor, title: str, captions: Sequence[object] | None = None, columns: int = 8
) -> Image:
    """Show images (N, C, H, W) with values in [0, 1] in a grid, with a caption each if given."""
    captions = [str(caption) for caption in captions] if captions is not None else []
    columns = min(columns, len(images))
    written = [caption for caption in captions if caption]
    words = f", captioned {', '.join(written)}" if written else ""
    alt = f"{title}: {len(images)} in rows of {columns}{words}"
    return _draw_grid(images, title, alt, columns, captions)


def plot_samples(samples: Tensor, title: str = "Samples from the prior") -> Image:
    """Show generated images (N, C, H, W) in a grid."""
    return plot_images(samples, title)


def plot_reconstructions(x: Tensor, x_hat: Tensor, title: str) -> Image:
    """Show up to ten images (N, C, H, W) above what a model makes of them."""
    x, x_hat = x[:10], x_hat[:10]
    alt = f"{title}: {len(x)} images in the upper row, their reconstructions in the lower row"
    both = torch.cat([_to_rgb(x), _to_rgb(x_hat)])  # one may be bytes, the other floats
    return _draw_grid(both, title, alt, len(x), row_labels=["input", "reconstruction"])


def plot_interpolations(
    rows: Tensor, title: str, captions: Sequence[str] = (), names: Sequence[str] = ()
) -> Image:
    """Show interpolations (R, F, C, H, W): a row for each pair, F frames from start to end.

    Args:
        rows: the frames, with values in [0, 1].
        title: what they show.
        captions: F words above the columns; "start" and "end" if nothing is said.
        names: R words before the rows; none if nothing is said.
    """
    num_rows, num_frames = rows.shape[:2]
    heads = list(captions) or ["start", *[""] * (num_frames - 2), "end"]
    way = f"captioned {', '.join(heads)}" if captions else "each from a start image to an end"
    alt = f"{title}: {num_rows} rows of {num_frames} images, {way}"
    if names:
        alt += f"; the rows are {', '.join(names)}"
    return _draw_grid(rows.flatten(0, 1), title, alt, num_frames, heads, names)


def plot_curves(
    history: dict[str, list[dict[str, float]]],
    terms: Sequence[str] = ("loss",),
    title: str = "Training",
    labels: dict[str, str] | None = None,
) -> Image:
    """Show how the terms of a history went, training and held-out images on the same axes.

    Terms have names of their own in the picture; `labels` calls them otherwise.

    Where the held-out images were evaluated once more than the model was trained, the first
    evaluation is taken to stand at epoch 0, before any training.
    """
    terms = [terms] if isinstance(terms, str) else list(terms)
    figure = Figure(figsize=(1.9 + 2.65 * len(terms), 3.0), layout="constrained")
    last = []
    for axes, term in zip(figure.subplots(1, len(terms), squeeze=False)[0], terms, strict=True):
        label = (labels or {}).get(term, TERM_LABELS.get(term, term))
        num_epochs = len(history["train"])
        for part, name, style, colour in (
            ("train", "training", "o-", BLUE),
            ("held_out", "held out", "s--", ORANGE),
        ):
            values = [float(entry[term]) for entry in history[part]]
            first = 0 if part == "held_out" and len(values) == num_epochs + 1 else 1
            epochs = range(first, first + len(values))
            size = 4 if num_epochs <= 40 else 0  # many marks would hide the line
            axes.plot(epochs, values, style, color=colour, label=name, markersize=size)
            if values:
                last.append(f"{name} {label} ends at {values[-1]:.4g}")
        axes.set_xlabel("epoch")
        axes.set_title(label, fontsize=10)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    figure.suptitle(title, fontsize=11)
    return _picture(figure, f"{title}: curves over the epochs; {'; '.join(last)}")


def plot_latents(
    codes: Tensor, labels: Tensor, title: str, names: Sequence[str] | None = None
) -> Image:
    """Show codes (N, 2) as points in the plane, with a colour and a shape for each label (N,).

    With `names`, the class of label 3 is called names[3] in the picture.
    """
    codes, labels = codes.detach().cpu(), torch.as_tensor(labels).cpu()
    classes = labels.unique().tolist()
    called = [str(label) if names is None else str(names[int(label)]) for label in classes]
    figure = Figure(figsize=(6 if names is None else 7, 5), layout="constrained")
    axes = figure.subplots()
    for index, (label, name) in enumerate(zip(classes, called, strict=True)):
        points = codes[labels == label]
        colour = CLASS_COLOURS[index % len(CLASS_COLOURS)]
        marker = CLASS_MARKERS[index % len(CLASS_MARKERS)]
        look = {"c": colour, "marker": marker, "edgecolors": "#555555", "linewidths": 0.3}
        axes.scatter(*points.T.numpy(), s=18, alpha=0.7, **look)
        axes.scatter([], [], s=36, label=name, **look)
        axes.annotate(
            name,
            points.median(dim=0).values.tolist(),
            **{"ha": "center", "va": "center", "fontweight": "bold"},
            fontsize=11 if names is None else 8,
            bbox={
                **{"boxstyle": "circle,pad=0.2" if names is None else "round,pad=0.2"},
                **{"fc": "white", "ec": colour, "alpha": 0.9},
            },
        )
    axes.set(title=title, xlabel="first coordinate", ylabel="second coordinate")
    axes.grid(alpha=0.3)
    figure.legend(loc="outside right center", title="label", frameon=False)
    alt = f"{title}: {len(codes)} codes in the plane, with labels {', '.join(called)}"
    return _picture(figure, alt)


def plot_dimensions(kl: Tensor, title: str) -> Image:
    """Show how many nats each latent dimension spends, kl (k,), the largest first."""
    kl = kl.detach().cpu().sort(descending=True).values
    figure = Figure(figsize=(6.5, 3.5), layout="constrained")
    axes = figure.subplots()
    axes.bar(range(1, len(kl) + 1), kl.numpy(), color=BLUE, width=0.9)
    axes.set(title=title, xlabel="latent dimensions, by what they spend", ylabel="KL (nats)")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(axis="y", alpha=0.3)
    used = int((kl > 0.01).sum())
    alt = (
        f"{title}: {used} of {len(kl)} dimensions spend more than 0.01 nats, the first {kl[0]:.2f}"
    )
    return _picture(figure, alt)


def plot_aggregate(mu: Tensor, var: Tensor, title: str) -> Image:
    """Show draws from the aggregate posterior beside the prior, in two dimensions of the code.

    Args:
        mu: posterior means, of shape (N, 2).
        var: posterior variances, of the same shape.
        title: what they are of.
    """
    generator = torch.Generator().manual_seed(0)
    mu, var = mu.detach().cpu(), var.detach().cpu()
    z = mu + var.sqrt() * torch.randn(mu.shape, generator=generator)
    figure = Figure(figsize=(5.5, 5), layout="constrained")
    axes = figure.subplots()
    axes.scatter(*z.T.numpy(), s=5, alpha=0.4, color=BLUE, linewidths=0, label="draws of q(z|x)")
    angles = np.linspace(0, 2 * np.pi, 200)
    for share, style in ((0.5, "-"), (0.99, "--")):
        radius = np.sqrt(-2 * np.log(1 - share))
        circle = radius * np.cos(angles), radius * np.sin(angles)
        label = f"{share:.0%} of the prior lies within"
        axes.plot(*circle, color=ORANGE, linestyle=style, linewidth=2, label=label)
    axes.set(title=title, xlabel="first of the two dimensions", ylabel="second", aspect="equal")
    axes.grid(alpha=0.3)
    figure.legend(loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    inside = float((z.square().sum(dim=1) < -2 * np.log(0.5)).float().mean())
    alt = f"{title}: of {len(z)} draws {inside:.0%} lie where half of the prior does"
    return _picture(figure, alt)


def plot_manifold(
    images: Tensor,
    columns: int,
    title: str,
    extent: tuple[float, float, float, float] | None = None,
) -> Image:
    """Show images (rows * columns, C, H, W) edge to edge: a map of a two-dimensional code.

    Args:
        images: row by row, the upper row first.
        columns: how many images stand side by side.
        title: what the map shows.
        extent: (x0, x1, y0, y1), the codes at its edges: the left column was decoded at first
            coordinate x0 and the right one at x1, the *lower* row at second coordinate y0 and the
            upper row at y1. Without it the axes carry no numbers.
    """
    images = _to_rgb(images)
    _, _, height, width = images.shape
    rows = len(images) // columns
    if rows * columns != len(images):
        raise ValueError(f"{len(images)} images do not fill rows of {columns}")
    sheet = images.view(rows, columns, 3, height, width).permute(0, 3, 1, 4, 2)
    sheet = sheet.reshape(rows * height, columns * width, 3)
    zoom = max(1, 560 // (columns * width))
    drawn = [zoom * side / DOTS_PER_INCH for side in (columns * width, rows * height)]
    size = max(drawn[0] + 0.9, 0.09 * len(title)), drawn[1] + 1.0
    figure = Figure(figsize=size)
    axes = figure.add_axes((0.75 / size[0], 0.55 / size[1], drawn[0] / size[0], drawn[1] / size[1]))
    alt = f"{title}: a map of {rows} rows of {columns} images"
    if extent is None:
        axes.imshow(sheet.numpy(), aspect="auto", interpolation="nearest")
        axes.set(xticks=[], yticks=[])
    else:
        x0, x1, y0, y1 = extent
        # The codes belong to the middles of the images: the edges lie half an image further out.
        x_half, y_half = (x1 - x0) / max(columns - 1, 1) / 2, (y1 - y0) / max(rows - 1, 1) / 2
        edges = x0 - x_half, x1 + x_half, y0 - y_half, y1 + y_half
        axes.imshow(sheet.numpy(), aspect="auto", interpolation="nearest", extent=edges)
        alt += f", the first coordinate from {x0:g} to {x1:g}, the second from {y0:g} to {y1:g}"
    axes.set(xlabel="first coordinate", ylabel="second coordinate")
    figure.suptitle(title, y=1 - 0.12 / size[1], va="top", fontsize=11)
    return _picture(figure, alt)


def plot_thumbnails(positions: Tensor, images: Tensor, title: str) -> Image:
    """Show each image (N, C, H, W), small, at its place (N, 2) in the plane.

    Where images overlap, the later one lies on top. About 300 of them are a readable picture.
    """
    positions, images = positions.detach().cpu(), _to_rgb(images)
    if positions.shape != (len(images), 2):
        raise ValueError(
            f"{len(images)} images need positions of shape ({len(images)}, 2), not "
            f"{tuple(positions.shape)}"
        )
    figure = Figure(figsize=(8, 7), layout="constrained")
    axes = figure.subplots()
    axes.scatter(*positions.T.numpy(), s=0)  # what the axes must have room for
    axes.margins(0.08)
    for place, image in zip(positions.tolist(), images, strict=True):
        # A thumbnail is 32 screen pixels wide; a point is 1/72 of an inch.
        picture = OffsetImage(image.permute(1, 2, 0).numpy(), zoom=0.32 * 72 / image.shape[-1])
        axes.add_artist(AnnotationBbox(picture, place, frameon=False))
    axes.set(title=title, xlabel="first coordinate", ylabel="second coordinate")
    axes.grid(alpha=0.3)
    return _picture(figure, f"{title}: {len(images)} small images, each at its place in the plane")


def explore_latents(
    decode: Callable[[Tensor], Tensor],
    start: Tensor,
    title: str,
    limit: float = 3.0,
    dims: int | Sequence[int] = 4,
) -> "LatentExplorer | Image":
    """Move through the latent space with sliders, and watch the decoded image change.

    The sliders can be dragged, or reached with Tab and moved with the arrow keys. Where there are
    none to be had (no ipywidgets, a notebook being graded, a page on paper), a picture shows the
    same walks at rest: a row for each dimension, the others staying where they start.

    Args:
        decode: takes codes (n, k) and returns images (n, C, H, W) with values in [0, 1]. Put the
            model in evaluation mode first; gradients are switched off here.
        start: the code (k,) to start from. All zeros is the middle of the prior.
        title: what is decoded.
        limit: the sliders go from -limit to limit.
        dims: which dimensions get a slider: the first so many, or a list of their numbers.
    """
    start = start.detach().flatten()
    numbers = range(min(dims, len(start))) if isinstance(dims, int) else dims
    numbers = [int(number) for number in numbers]
    still = _draw_traversals(decode, start, title, limit, numbers)
    if "NBGRADER_EXECUTION" in os.environ:
        return still
    try:
        import ipywidgets  # noqa: F401 - only whether it is there
    except ImportError:
        return still
    return LatentExplorer(decode, start, title, limit, numbers, still)


def _draw_traversals(
    decode: Callable[[Tensor], Tensor],
    start: Tensor,
    title: str,
    limit: float,
    dims: Sequence[int],
) -> Image:
    """Show what each dimension does on its own: a row for each, from -limit to limit."""
    steps = torch.linspace(-limit, limit, 7)
    codes = start.repeat(len(dims), len(steps), 1)
    for row, dim in enumerate(dims):
        codes[row, :, dim] = steps.to(start)
    with torch.no_grad():
        images = decode(codes.flatten(0, 1))
    captions = [f"{step:.1f}" for step in steps.tolist()]
    names = [f"z[{dim}]" for dim in dims]
    alt = (
        f"{title}: a row of {len(steps)} decoded images for each of the dimensions "
        f"{', '.join(names)}, which goes from {-limit:g} to {limit:g} while the others stay"
    )
    return _draw_grid(images, title, alt, len(steps), captions, names)


class LatentExplorer:
    """Sliders for some dimensions of a code, and the image that it decodes to.

    A front end that cannot show sliders shows a still picture instead: it is offered both.

    Attributes:
        code: where the sliders stand, of shape (k,).
        sliders: one for each dimension.
        reset: the button that puts all of them back.
        picture: the decoded image, as HTML with a text for those who cannot see it.
        still: the picture for where nothing moves.
    """

    def __init__(
        self,
        decode: Callable[[Tensor], Tensor],
        start: Tensor,
        title: str,
        limit: float,
        dims: Sequence[int],
        still: Image,
    ) -> None:
        import ipywidgets as widgets

        self.decode, self.start, self.dims = decode, start, dims
        self.title, self.still = title, still
        self.code = start.clone()
        values = [start[dim].item() for dim in dims]
        self.sliders = [
            widgets.FloatSlider(
                value=value,
                min=min(-limit, value),
                max=max(limit, value),
                step=0.1,
                description=f"z[{dim}]",
                readout_format=".1f",
                continuous_update=True,  # one small decoded image is quick enough to follow
            )
            for dim, value in zip(dims, values, strict=True)
        ]
        self.reset = widgets.Button(description="Reset", tooltip="Put all sliders back")
        self.reset.on_click(self._put_back)
        self.picture = widgets.HTML()
        for slider in self.sliders:
            slider.observe(self._update, names="value")
        controls = widgets.VBox([*self.sliders, self.reset])
        # On a narrow page the image goes below the sliders.
        narrow = widgets.Layout(flex_flow="row wrap", align_items="center")
        heading = widgets.HTML(f"<b>{html.escape(title)}</b>")
        self.widget = widgets.VBox([heading, widgets.HBox([controls, self.picture], layout=narrow)])
        self._update()

    def _put_back(self, _: object = None) -> None:
        for dim, slider in zip(self.dims, self.sliders, strict=True):
            slider.value = self.start[dim].item()

    def _update(self, _: object = None) -> None:
        """Decode the code at which the sliders stand, and show it."""
        for dim, slider in zip(self.dims, self.sliders, strict=True):
            self.code[dim] = slider.value
        with torch.no_grad():
            image = _to_rgb(self.decode(self.code.unsqueeze(0)))[0]
        buffer = io.BytesIO()
        imsave(buffer, image.permute(1, 2, 0).numpy(), format="png")
        data = b64encode(buffer.getvalue()).decode()
        places = ", ".join(f"{s.description} = {s.value:.1f}" for s in self.sliders)
        alt = html.escape(f"{self.title}: the image decoded at {places}")
        self.picture.value = (
            f'<img alt="{alt}" src="data:image/png;base64,{data}" '
            'style="width: 224px; max-width: 100%; image-rendering: pixelated">'
        )

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> tuple:
        """Offer sliders and a still picture: a front end takes the first that it can show."""
        data, metadata = self.still._repr_mimebundle_()
        view = {"version_major": 2, "version_minor": 0, "model_id": self.widget.model_id}
        text = metadata["image/png"]["alt"]
        return {
            **data,
            "application/vnd.jupyter.widget-view+json": view,
            "text/plain": text,
        }, metadata
