"""Faces that nobody has: drawn ones, for where there are no photographs.

Everything is a soft-edged shape painted over another one, in the coordinates of the head, so that
a face can look aside and tilt. The sizes are those of a picture of 64x64 pixels.
"""

import math

import torch
from torch import Tensor

DRAWN_ATTRIBUTES = (
    *("Smiling", "Eyeglasses", "Wearing_Hat", "Mustache"),
    *("Black_Hair", "Brown_Hair", "Blond_Hair", "Gray_Hair"),
)
SKINS = ((255, 224, 202), (241, 194, 160), (208, 150, 110), (160, 106, 72), (98, 64, 46))
HAIRS = ((30, 26, 30), (100, 62, 38), (232, 194, 112), (176, 176, 182))
EYES = ((70, 120, 180), (80, 130, 90), (95, 60, 35), (50, 36, 30))
CLOTHES = ((196, 62, 58), (48, 96, 168), (58, 138, 98), (240, 190, 70))
SKIES = ((166, 206, 227), (222, 203, 228), (204, 235, 197), (254, 217, 166))


def draw_faces(count: int = 1000, size: int = 64, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Draw faces that differ in skin, hair, clothes, pose, expression, glasses and hats.

    They hold still more than people do, and their smiles are broad, so that a small model learns
    what matters from a thousand of them in a minute.

    Args:
        count: how many.
        size: their height and width in pixels.
        seed: the same seed draws the same faces, and more of them begin with these.

    Returns:
        The images, uint8 of shape (count, 3, size, size), and what they show, bool of shape
        (count, 8): a column for each name in DRAWN_ATTRIBUTES, names that CelebA has too.
    """
    generator = torch.Generator().manual_seed(seed)
    # Fifty at a time fit into a processor's cache, which makes this several times faster.
    parts = [_draw_some(50, size, generator) for _ in range(0, max(count, 1), 50)]
    images, attributes = (torch.cat(part)[:count] for part in zip(*parts, strict=True))
    return images, attributes


class _Canvas:
    """A stack of pictures, (N, 3, size, size), to paint shapes on.

    A shape is a coverage (N, size, size): 1 inside, 0 outside, in between along the edge.

    Attributes:
        pixels: what is painted, from 0 to 255.
        x, y: of each pixel, to the right and downwards, from -32 to 32.
        scale: how many pixels wide a unit of x is: what makes an edge one pixel wide.
    """

    def __init__(self, count: int, size: int) -> None:
        side = (torch.arange(size) + 0.5) * 64 / size - 32
        self.x = side.view(1, 1, size).expand(count, size, size)
        self.y = side.view(1, size, 1).expand(count, size, size)
        self.scale = size / 64 * torch.ones(count, 1, 1)
        self.pixels = torch.zeros(count, 3, size, size)

    def move(self, x: Tensor, y: Tensor, tilt: Tensor, zoom: Tensor) -> None:
        """From here on (0, 0) is this point, turned by `tilt` and enlarged by `zoom`."""
        right, down = self.x - x, self.y - y
        self.x = (right * tilt.cos() + down * tilt.sin()) / zoom
        self.y = (down * tilt.cos() - right * tilt.sin()) / zoom
        self.scale = self.scale * zoom

    def inside(self, distance: Tensor) -> Tensor:
        """The coverage of a shape, given how far each pixel lies outside of its edge."""
        return (0.5 - distance * self.scale).clamp(0, 1)

    def ellipse(
        self,
        x: Tensor | float,
        y: Tensor | float,
        width: Tensor | float,
        height: Tensor | float,
        tilt: float = 0.0,
    ) -> Tensor:
        """The coverage of an ellipse with this middle and these half axes.

        All but the tilt may be tensors (N, 1, 1): another ellipse in each picture.
        """
        right, down = self.x - x, self.y - y
        if tilt:
            sine, cosine = math.sin(tilt), math.cos(tilt)
            right, down = right * cosine + down * sine, down * cosine - right * sine
        right, down = right / width, down / height
        radius = (right**2 + down**2).sqrt()
        # The distance to first order: how far out, divided by how fast that grows.
        slope = ((right / width) ** 2 + (down / height) ** 2).sqrt().clamp_min(1e-6)
        return self.inside(radius * (radius - 1) / slope)

    def paint(self, coverage: Tensor, colour: Tensor) -> None:
        """Paint with a colour for each picture, (N, 3), or for each pixel of each."""
        colour = colour.view(*colour.shape[:2], 1, 1) if colour.ndim == 2 else colour
        self.pixels += coverage.unsqueeze(1) * (colour - self.pixels)


def _draw_some(count: int, size: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    def between(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(count, 1, 1, generator=generator)

    def one_of(colours: tuple, spread: float = 12.0) -> Tensor:
        chosen = torch.randint(len(colours), (count,), generator=generator)
        return vary(torch.tensor(colours).float()[chosen], spread)

    def vary(colours: Tensor, spread: float) -> Tensor:
        # Lighter or darker, and a little of another hue.
        light = torch.randn(count, 1, generator=generator)
        hue = torch.randn(count, 3, generator=generator)
        return (colours + spread * (light + 0.5 * hue)).clamp(0, 255)

    def happens(probability: float) -> Tensor:
        return (between(0, 1) < probability).float()

    def grey(value: float) -> Tensor:
        return torch.full((count, 3), value)

    # What kind of face it is.
    smiling, glasses, hat = happens(0.5), happens(0.3), happens(0.25)
    mustache, long_hair = happens(0.2), happens(0.45)
    tone = between(0, len(SKINS) - 1.001)
    below, share = tone.long().flatten(), (tone % 1).view(-1, 1)
    skins = torch.tensor(SKINS).float()
    skin = vary(skins[below] * (1 - share) + skins[below + 1] * share, 3)
    hair_kind = torch.randint(len(HAIRS), (count,), generator=generator)
    hair = vary(torch.tensor(HAIRS).float()[hair_kind], 8)
    eye_colour, clothes, hat_colour = one_of(EYES), one_of(CLOTHES), one_of(CLOTHES)

    canvas = _Canvas(count, size)
    height = ((canvas.y + 32) / 64).unsqueeze(1)
    canvas.pixels = one_of(SKIES, 6).view(-1, 3, 1, 1) * (1.05 - 0.25 * height)

    # The head and where it looks: what is on its front moves more than the head itself.
    look = between(-2, 2)
    x, y, tilt, zoom = between(-1, 1), between(2, 3), between(-0.07, 0.07), between(1.14, 1.22)
    width, length = between(14.5, 17), between(19, 21)
    neck, shadow = skin * 0.86, skin * 0.78
    body = canvas.ellipse(0.6 * x, 38, between(24, 29), between(12, 14))
    canvas.move(x, y, tilt, zoom)
    back = canvas.ellipse(-0.3 * look, 6, width + between(3, 6), between(23, 29))
    canvas.paint(back * long_hair, hair * 0.8)
    canvas.paint(canvas.ellipse(0, 20, 7, 13), neck)
    canvas.paint(body, clothes)
    for side in (-1, 1):
        ear = canvas.ellipse(side * width - 0.4 * look, 1, 3, 4.5)
        canvas.paint(ear, neck)
    head = canvas.ellipse(0, 0, width, length)
    # Light falls from the upper left.
    light = 1.03 - 0.006 * canvas.x - 0.004 * canvas.y
    canvas.paint(head, (skin.view(-1, 3, 1, 1) * light.unsqueeze(1)).clamp(0, 255))
    for side in (-1, 1):
        cheek = canvas.ellipse(side * 9 + look, 6, 3.6, 2.6)
        blush = skin * torch.tensor([1.0, 0.72, 0.7])
        canvas.paint(cheek * (0.15 + 0.45 * smiling), blush)

    # Hair in front: a cap, less the oval in which the face shows.
    hairline, parting = between(7, 10), between(-3, 3)
    cap = canvas.ellipse(0, -1.5, width + 1.5, length + 1.5)
    oval = canvas.ellipse(0.7 * look + parting, hairline, width * 0.97, length + 1)
    canvas.paint(cap * (1 - oval) * canvas.inside(canvas.y - 6), hair)

    # Eyes, brows and nose. Who smiles narrows the eyes and lifts the brows.
    apart, open_ = between(6, 7.4), between(2.2, 3) - 0.5 * smiling
    for side in (-1, 1):
        at = side * apart + look
        white = canvas.ellipse(at, -2, 3.4, open_)
        canvas.paint(canvas.ellipse(at, -2.5, 3.8, open_ + 0.5), shadow)
        canvas.paint(white, grey(250.0))
        canvas.paint(canvas.ellipse(at + 0.25 * look, -2, 2, 2) * white, eye_colour)
        canvas.paint(canvas.ellipse(at + 0.25 * look, -2, 1, 1) * white, grey(15.0))
        canvas.paint(canvas.ellipse(at + 0.25 * look - 0.7, -2.8, 0.6, 0.6), grey(255.0))
        brow = canvas.ellipse(at, -7.3 - 0.7 * smiling, 4, 1.1, tilt=0.05 * side)
        canvas.paint(brow, hair * 0.7)
    canvas.paint(canvas.ellipse(1.25 * look, 3.6, 2.3, 1.9), shadow)
    canvas.paint(canvas.ellipse(1.25 * look - 0.4, 2.8, 1.9, 1.9), (skin * 1.05).clamp(0, 255))

    # A mouth between two curves: one line that hardly bends, or a wide one full of teeth.
    half = between(4.2, 5) + 3 * smiling
    across = (canvas.x - look) / half
    arch = 1 - across**2
    upper = 9.5 + (1 - smiling) * 1 + (smiling * 1.2 + (1 - smiling) * between(-0.5, 0.6)) * arch
    lower = upper + smiling * between(4.6, 5.6) * arch
    within = torch.maximum(upper - canvas.y, canvas.y - lower)
    ends = (canvas.x - look).abs() - half
    lips = torch.stack([skin[:, 0] * 0.82, skin[:, 1] * 0.48, skin[:, 2] * 0.5], 1)
    canvas.paint(canvas.inside(torch.maximum(within - 0.9, ends)), lips)
    teeth = canvas.inside(torch.maximum(within + 0.1, ends + 0.6)) * smiling
    canvas.paint(teeth, grey(252.0))
    for side in (-1, 1):
        whisker = canvas.ellipse(side * 3 + look, 7.8, 4.4, 1.5, tilt=0.3 * side)
        canvas.paint(whisker * mustache, hair * 0.75)

    # What is put on.
    for side in (-1, 1):
        at = side * (apart + 0.2) + look
        frame, lens = canvas.ellipse(at, -2, 6.2, 5.6), canvas.ellipse(at, -2, 4.6, 4)
        canvas.paint(lens * glasses * 0.25, grey(255.0))
        canvas.paint((frame - lens) * glasses, grey(25.0))
        arm = canvas.ellipse(side * (width - 1.5) + 0.4 * look, -3, 3.2, 0.8) * glasses * head
        canvas.paint(arm, grey(25.0))
    canvas.paint(canvas.ellipse(look, -2.8, 2, 0.8) * glasses, grey(25.0))
    crown = canvas.ellipse(0, -11, width + 1.5, 16) * canvas.inside(canvas.y + 10)
    canvas.paint(crown * hat, hat_colour)
    band = canvas.ellipse(0, -11, width + 1.5, 16) * canvas.inside((canvas.y + 13).abs() - 1.8)
    canvas.paint(band * hat, hat_colour * 0.6)
    canvas.paint(canvas.ellipse(0.5 * look, -9.8, width + 6, 2.4) * hat, hat_colour * 0.85)

    shown = torch.cat([smiling, glasses, hat, mustache], 1)[:, :, 0] > 0
    kinds = hair_kind.view(-1, 1) == torch.arange(len(HAIRS))
    return canvas.pixels.round().clamp(0, 255).to(torch.uint8), torch.cat([shown, kinds], 1)
