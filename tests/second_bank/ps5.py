"""Answers to ps5, written by someone who saw only the student's notebook."""

WRONG = {
    ("ps5_scale", "only float32 counts as floats: doubles are divided by 255"): '''
def scale_images(images: Tensor) -> Tensor:
    if images.dtype != torch.float32:
        images = images / 255
    return images * 2 - 1


def unscale_images(x: Tensor) -> Tensor:
    return ((x + 1) / 2).clamp(0, 1)
''',
    ("ps5_scale", "whole numbers are taken for bytes: a black and white float image"): '''
def scale_images(images: Tensor) -> Tensor:
    if (images % 1 == 0).all():  # floats have something behind the point
        images = images / 255
    return images * 2 - 1


def unscale_images(x: Tensor) -> Tensor:
    return ((x + 1) / 2).clamp(0, 1)
''',
    ("ps5_scale", "view(-1) of permuted images, not of any layout"): '''
def scale_images(images: Tensor) -> Tensor:
    flat = images.view(-1)
    if flat.dtype == torch.uint8:
        flat = flat / 255
    return (flat * 2 - 1).view(images.shape)


def unscale_images(x: Tensor) -> Tensor:
    return ((x + 1) / 2).clamp(0, 1)
''',
    ("ps5_scale", "clamps only if both bounds are crossed: and for or"): '''
def scale_images(images: Tensor) -> Tensor:
    if images.dtype == torch.uint8:
        images = images / 255
    return images * 2 - 1


def unscale_images(x: Tensor) -> Tensor:
    y = (x + 1) / 2
    if y.min() < 0 and y.max() > 1:
        y = y.clamp(0, 1)
    return y
''',
    ("ps5_scale", "unscale clamps its argument in place: the noisy image is changed"): '''
def scale_images(images: Tensor) -> Tensor:
    if images.dtype == torch.uint8:
        images = images / 255
    return images * 2 - 1


def unscale_images(x: Tensor) -> Tensor:
    x.clamp_(-1, 1)
    return (x + 1) / 2
''',
    ("ps5_scale", "looks at the largest value: a dark image of bytes"): '''
def scale_images(images: Tensor) -> Tensor:
    if images.max() > 1:
        images = images / 255
    return images * 2 - 1


def unscale_images(x: Tensor) -> Tensor:
    return ((x + 1) / 2).clamp(0, 1)
''',
    ("ps5_scale", "256 levels, so divided by 256: white is not 1"): '''
def scale_images(images: Tensor) -> Tensor:
    if images.dtype == torch.uint8:
        images = images / 256
    return images * 2 - 1


def unscale_images(x: Tensor) -> Tensor:
    return ((x + 1) / 2).clamp(0, 1)
''',
    ("ps5_scale", "bytes are doubled before they are divided: they wrap around"): '''
def scale_images(images: Tensor) -> Tensor:
    if images.dtype == torch.uint8:
        return images * 2 / 255 - 1
    return images * 2 - 1


def unscale_images(x: Tensor) -> Tensor:
    return ((x + 1) / 2).clamp(0, 1)
''',
    ("ps5_scale", "cut to 0 and 1 before the conversion: all dark pixels become grey"): '''
def scale_images(images: Tensor) -> Tensor:
    if images.dtype == torch.uint8:
        images = images / 255
    return images * 2 - 1


def unscale_images(x: Tensor) -> Tensor:
    return (x.clamp(0, 1) + 1) / 2
''',
    ("ps5_scale", "unscale without the upper bound"): '''
def scale_images(images: Tensor) -> Tensor:
    if images.dtype == torch.uint8:
        images = images / 255
    return images * 2 - 1


def unscale_images(x: Tensor) -> Tensor:
    return ((x + 1) / 2).clamp(min=0)
''',
    ("ps5_encoder", "the floor by clamp, not added: softplus of -14"): '''
class FaceEncoder(nn.Module):
    def __init__(self, latent_dim: int, channels: int = 3) -> None:
        super().__init__()
        self.channels = channels
        self.layers = nn.Sequential(
            nn.Conv2d(channels, 32, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 32, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 64, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(64, 64, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(64, 256, 4),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(256, 2 * latent_dim),
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        wanted = (self.channels, FACE_SIZE, FACE_SIZE)
        if tuple(x.shape[1:]) != wanted:
            raise ValueError(f"images of shape (B, *{wanted}) are needed, not {tuple(x.shape)}")
        mu, raw = self.layers(x).chunk(2, dim=1)
        return mu, F.softplus(raw).clamp(min=VAR_FLOOR)
''',
    ("ps5_encoder", "softplus written out: exp overflows, variances are infinite"): '''
class FaceEncoder(nn.Module):
    def __init__(self, latent_dim: int, channels: int = 3) -> None:
        super().__init__()
        self.channels = channels
        self.layers = nn.Sequential(
            nn.Conv2d(channels, 32, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 32, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 64, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(64, 64, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(64, 256, 4),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(256, 2 * latent_dim),
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        wanted = (self.channels, FACE_SIZE, FACE_SIZE)
        if tuple(x.shape[1:]) != wanted:
            raise ValueError(f"images of shape (B, *{wanted}) are needed, not {tuple(x.shape)}")
        mu, raw = self.layers(x).chunk(2, dim=1)
        return mu, torch.log(1 + torch.exp(raw)) + VAR_FLOOR
''',
    ("ps5_encoder", "a floor of its own, 1e-12, below VAR_FLOOR"): '''
class FaceEncoder(nn.Module):
    def __init__(self, latent_dim: int, channels: int = 3) -> None:
        super().__init__()
        self.channels = channels
        self.layers = nn.Sequential(
            nn.Conv2d(channels, 32, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 32, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 64, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(64, 64, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(64, 256, 4),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(256, 2 * latent_dim),
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        wanted = (self.channels, FACE_SIZE, FACE_SIZE)
        if tuple(x.shape[1:]) != wanted:
            raise ValueError(f"images of shape (B, *{wanted}) are needed, not {tuple(x.shape)}")
        mu, raw = self.layers(x).chunk(2, dim=1)
        return mu, F.softplus(raw) + 1e-12
''',
    ("ps5_encoder", "a dropout that the table does not have: random in training mode"): '''
class FaceEncoder(nn.Module):
    def __init__(self, latent_dim: int, channels: int = 3) -> None:
        super().__init__()
        self.channels = channels
        self.layers = nn.Sequential(
            nn.Conv2d(channels, 32, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 32, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 64, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(64, 64, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(64, 256, 4),
            nn.ReLU(),
            nn.Flatten(),
            nn.Dropout(0.1),
            nn.Linear(256, 2 * latent_dim),
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        wanted = (self.channels, FACE_SIZE, FACE_SIZE)
        if tuple(x.shape[1:]) != wanted:
            raise ValueError(f"images of shape (B, *{wanted}) are needed, not {tuple(x.shape)}")
        mu, raw = self.layers(x).chunk(2, dim=1)
        return mu, F.softplus(raw) + VAR_FLOOR
''',
    ("ps5_encoder", "the fifth map is 2 x 2 and pooled, not 1 x 1"): '''
class FaceEncoder(nn.Module):
    def __init__(self, latent_dim: int, channels: int = 3) -> None:
        super().__init__()
        self.channels = channels
        self.layers = nn.Sequential(
            nn.Conv2d(channels, 32, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 32, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 64, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(64, 64, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(64, 256, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(256, 2 * latent_dim),
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        wanted = (self.channels, FACE_SIZE, FACE_SIZE)
        if tuple(x.shape[1:]) != wanted:
            raise ValueError(f"images of shape (B, *{wanted}) are needed, not {tuple(x.shape)}")
        mu, raw = self.layers(x).chunk(2, dim=1)
        return mu, F.softplus(raw) + VAR_FLOOR
''',
    ("ps5_encoder", "maps halved by max pooling, convolutions with stride 1"): '''
class FaceEncoder(nn.Module):
    def __init__(self, latent_dim: int, channels: int = 3) -> None:
        super().__init__()
        self.channels = channels
        layers, before = [], channels
        for maps in (32, 32, 64, 64):
            layers += [nn.Conv2d(before, maps, 4, padding="same"), nn.ReLU(), nn.MaxPool2d(2)]
            before = maps
        layers += [nn.Conv2d(64, 256, 4), nn.ReLU(), nn.Flatten()]
        self.layers = nn.Sequential(*layers, nn.Linear(256, 2 * latent_dim))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        if x.shape[1:] != (self.channels, 64, 64):
            raise ValueError(f"expected (B, {self.channels}, 64, 64), got {tuple(x.shape)}")
        mu, raw = self.layers(x).chunk(2, dim=1)
        return mu, F.softplus(raw) + VAR_FLOOR
''',
    ("ps5_encoder", "the door counts numbers only: 32 x 128 is let in"): '''
class FaceEncoder(nn.Module):
    def __init__(self, latent_dim: int, channels: int = 3) -> None:
        super().__init__()
        self.channels = channels
        self.layers = nn.Sequential(
            nn.Conv2d(channels, 32, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 32, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 64, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(64, 64, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(64, 256, 4),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(256, 2 * latent_dim),
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        wanted = (self.channels, FACE_SIZE, FACE_SIZE)
        if x[0].numel() != math.prod(wanted):
            raise ValueError(f"images of shape (B, *{wanted}) are needed, not {tuple(x.shape)}")
        mu, raw = self.layers(x).chunk(2, dim=1)
        return mu, F.softplus(raw) + VAR_FLOOR
''',
    ("ps5_encoder", "the door looks at the last three dimensions: no batch, no ValueError"): '''
class FaceEncoder(nn.Module):
    def __init__(self, latent_dim: int, channels: int = 3) -> None:
        super().__init__()
        self.channels = channels
        self.layers = nn.Sequential(
            nn.Conv2d(channels, 32, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 32, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 64, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(64, 64, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(64, 256, 4),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(256, 2 * latent_dim),
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        wanted = (self.channels, FACE_SIZE, FACE_SIZE)
        if tuple(x.shape[-3:]) != wanted:
            raise ValueError(f"images of shape (B, *{wanted}) are needed, not {tuple(x.shape)}")
        mu, raw = self.layers(x).chunk(2, dim=1)
        return mu, F.softplus(raw) + VAR_FLOOR
''',
    ("ps5_encoder", "the message does not say which shape came"): '''
class FaceEncoder(nn.Module):
    def __init__(self, latent_dim: int, channels: int = 3) -> None:
        super().__init__()
        self.channels = channels
        self.layers = nn.Sequential(
            nn.Conv2d(channels, 32, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 32, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 64, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(64, 64, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(64, 256, 4),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(256, 2 * latent_dim),
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        wanted = (self.channels, FACE_SIZE, FACE_SIZE)
        if tuple(x.shape[1:]) != wanted:
            raise ValueError("the images have the wrong shape")
        mu, raw = self.layers(x).chunk(2, dim=1)
        return mu, F.softplus(raw) + VAR_FLOOR
''',
    ("ps5_encoder", "the second half are the means"): '''
class FaceEncoder(nn.Module):
    def __init__(self, latent_dim: int, channels: int = 3) -> None:
        super().__init__()
        self.channels = channels
        self.layers = nn.Sequential(
            nn.Conv2d(channels, 32, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 32, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 64, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(64, 64, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(64, 256, 4),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(256, 2 * latent_dim),
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        wanted = (self.channels, FACE_SIZE, FACE_SIZE)
        if tuple(x.shape[1:]) != wanted:
            raise ValueError(f"images of shape (B, *{wanted}) are needed, not {tuple(x.shape)}")
        raw, mu = self.layers(x).chunk(2, dim=1)
        return mu, F.softplus(raw) + VAR_FLOOR
''',
    ("ps5_encoder", "the floor inside the softplus: zero all the same"): '''
class FaceEncoder(nn.Module):
    def __init__(self, latent_dim: int, channels: int = 3) -> None:
        super().__init__()
        self.channels = channels
        self.layers = nn.Sequential(
            nn.Conv2d(channels, 32, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 32, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 64, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(64, 64, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(64, 256, 4),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(256, 2 * latent_dim),
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        wanted = (self.channels, FACE_SIZE, FACE_SIZE)
        if tuple(x.shape[1:]) != wanted:
            raise ValueError(f"images of shape (B, *{wanted}) are needed, not {tuple(x.shape)}")
        mu, raw = self.layers(x).chunk(2, dim=1)
        return mu, F.softplus(raw + VAR_FLOOR)
''',
    ("ps5_encoder", "no ReLU behind the fifth convolution"): '''
class FaceEncoder(nn.Module):
    def __init__(self, latent_dim: int, channels: int = 3) -> None:
        super().__init__()
        self.channels = channels
        self.layers = nn.Sequential(
            nn.Conv2d(channels, 32, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 32, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 64, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(64, 64, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(64, 256, 4),
            nn.Flatten(),
            nn.Linear(256, 2 * latent_dim),
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        wanted = (self.channels, FACE_SIZE, FACE_SIZE)
        if tuple(x.shape[1:]) != wanted:
            raise ValueError(f"images of shape (B, *{wanted}) are needed, not {tuple(x.shape)}")
        mu, raw = self.layers(x).chunk(2, dim=1)
        return mu, F.softplus(raw) + VAR_FLOOR
''',
    ("ps5_encoder", "squeeze takes the batch of one along"): '''
class FaceEncoder(nn.Module):
    def __init__(self, latent_dim: int, channels: int = 3) -> None:
        super().__init__()
        self.channels = channels
        self.layers = nn.Sequential(
            nn.Conv2d(channels, 32, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 32, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 64, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(64, 64, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(64, 256, 4),
            nn.ReLU(),
        )
        self.linear = nn.Linear(256, 2 * latent_dim)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        wanted = (self.channels, FACE_SIZE, FACE_SIZE)
        if tuple(x.shape[1:]) != wanted:
            raise ValueError(f"images of shape (B, *{wanted}) are needed, not {tuple(x.shape)}")
        mu, raw = self.linear(self.layers(x).squeeze()).chunk(2, dim=-1)
        return mu, F.softplus(raw) + VAR_FLOOR
''',
    ("ps5_decoder", "cut at -1 and 1, not a tanh"): '''
class FaceDecoder(nn.Module):
    def __init__(self, latent_dim: int, channels: int = 3) -> None:
        super().__init__()
        self.linear = nn.Linear(latent_dim, 256)
        self.layers = nn.Sequential(
            nn.ReLU(),
            nn.ConvTranspose2d(256, 64, 4),
            nn.ReLU(),
            nn.ConvTranspose2d(64, 64, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(64, 32, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(32, 32, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(32, channels, 4, stride=2, padding=1),
        )

    def forward(self, z: Tensor) -> Tensor:
        h = self.linear(z).view(-1, 256, 1, 1)
        return self.layers(h).clamp(-1, 1)
''',
    ("ps5_decoder", "2 sigmoid - 1, which is the tanh of half"): '''
class FaceDecoder(nn.Module):
    def __init__(self, latent_dim: int, channels: int = 3) -> None:
        super().__init__()
        self.linear = nn.Linear(latent_dim, 256)
        self.layers = nn.Sequential(
            nn.ReLU(),
            nn.ConvTranspose2d(256, 64, 4),
            nn.ReLU(),
            nn.ConvTranspose2d(64, 64, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(64, 32, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(32, 32, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(32, channels, 4, stride=2, padding=1),
        )

    def forward(self, z: Tensor) -> Tensor:
        h = self.linear(z).view(-1, 256, 1, 1)
        return 2 * torch.sigmoid(self.layers(h)) - 1
''',
    ("ps5_decoder", "softsign in place of tanh"): '''
class FaceDecoder(nn.Module):
    def __init__(self, latent_dim: int, channels: int = 3) -> None:
        super().__init__()
        self.linear = nn.Linear(latent_dim, 256)
        self.layers = nn.Sequential(
            nn.ReLU(),
            nn.ConvTranspose2d(256, 64, 4),
            nn.ReLU(),
            nn.ConvTranspose2d(64, 64, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(64, 32, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(32, 32, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(32, channels, 4, stride=2, padding=1),
        )

    def forward(self, z: Tensor) -> Tensor:
        h = self.linear(z).view(-1, 256, 1, 1)
        return F.softsign(self.layers(h))
''',
    ("ps5_decoder", "F.dropout without its training flag: random also in evaluation mode"): '''
class FaceDecoder(nn.Module):
    def __init__(self, latent_dim: int, channels: int = 3) -> None:
        super().__init__()
        self.linear = nn.Linear(latent_dim, 256)
        self.layers = nn.Sequential(
            nn.ReLU(),
            nn.ConvTranspose2d(256, 64, 4),
            nn.ReLU(),
            nn.ConvTranspose2d(64, 64, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(64, 32, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(32, 32, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(32, channels, 4, stride=2, padding=1),
        )

    def forward(self, z: Tensor) -> Tensor:
        h = self.linear(z).view(-1, 256, 1, 1)
        return torch.tanh(self.layers(F.dropout(h, 0.1)))
''',
    ("ps5_decoder", "no padding, and the picture resized at the end: other maps"): '''
class FaceDecoder(nn.Module):
    def __init__(self, latent_dim: int, channels: int = 3) -> None:
        super().__init__()
        self.linear = nn.Linear(latent_dim, 256)
        self.layers = nn.Sequential(
            nn.ReLU(),
            nn.ConvTranspose2d(256, 64, 4),
            nn.ReLU(),
            nn.ConvTranspose2d(64, 64, 4, stride=2),
            nn.ReLU(),
            nn.ConvTranspose2d(64, 32, 4, stride=2),
            nn.ReLU(),
            nn.ConvTranspose2d(32, 32, 4, stride=2),
            nn.ReLU(),
            nn.ConvTranspose2d(32, channels, 4, stride=2),
        )

    def forward(self, z: Tensor) -> Tensor:
        h = self.linear(z).view(-1, 256, 1, 1)
        return torch.tanh(F.interpolate(self.layers(h), size=64))
''',
    ("ps5_decoder", "the view mixes the images of a batch"): '''
class FaceDecoder(nn.Module):
    def __init__(self, latent_dim: int, channels: int = 3) -> None:
        super().__init__()
        self.linear = nn.Linear(latent_dim, 256)
        self.layers = nn.Sequential(
            nn.ReLU(),
            nn.ConvTranspose2d(256, 64, 4),
            nn.ReLU(),
            nn.ConvTranspose2d(64, 64, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(64, 32, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(32, 32, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(32, channels, 4, stride=2, padding=1),
        )

    def forward(self, z: Tensor) -> Tensor:
        h = self.linear(z).view(256, -1, 1, 1).transpose(0, 1)
        return torch.tanh(self.layers(h))
''',
    ("ps5_decoder", "a batch norm without parameters: an image depends on the others"): '''
class FaceDecoder(nn.Module):
    def __init__(self, latent_dim: int, channels: int = 3) -> None:
        super().__init__()
        self.linear = nn.Linear(latent_dim, 256)
        self.layers = nn.Sequential(
            nn.ReLU(),
            nn.ConvTranspose2d(256, 64, 4),
            nn.ReLU(),
            nn.ConvTranspose2d(64, 64, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.BatchNorm2d(64, affine=False),
            nn.ConvTranspose2d(64, 32, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(32, 32, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(32, channels, 4, stride=2, padding=1),
        )

    def forward(self, z: Tensor) -> Tensor:
        h = self.linear(z).view(-1, 256, 1, 1)
        return torch.tanh(self.layers(h))
''',
    ("ps5_decoder", "the code is cut off from the graph: the encoder gets no gradient"): '''
class FaceDecoder(nn.Module):
    def __init__(self, latent_dim: int, channels: int = 3) -> None:
        super().__init__()
        self.linear = nn.Linear(latent_dim, 256)
        self.layers = nn.Sequential(
            nn.ReLU(),
            nn.ConvTranspose2d(256, 64, 4),
            nn.ReLU(),
            nn.ConvTranspose2d(64, 64, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(64, 32, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(32, 32, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(32, channels, 4, stride=2, padding=1),
        )

    def forward(self, z: Tensor) -> Tensor:
        h = self.linear(z.data).view(-1, 256, 1, 1)
        return torch.tanh(self.layers(h))
''',
    ("ps5_decoder", "no ReLU behind the linear layer"): '''
class FaceDecoder(nn.Module):
    def __init__(self, latent_dim: int, channels: int = 3) -> None:
        super().__init__()
        self.linear = nn.Linear(latent_dim, 256)
        self.layers = nn.Sequential(
            nn.ConvTranspose2d(256, 64, 4),
            nn.ReLU(),
            nn.ConvTranspose2d(64, 64, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(64, 32, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(32, 32, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(32, channels, 4, stride=2, padding=1),
        )

    def forward(self, z: Tensor) -> Tensor:
        h = self.linear(z).view(-1, 256, 1, 1)
        return torch.tanh(self.layers(h))
''',
    ("ps5_decoder", "tanh twice: white is 0.76"): '''
class FaceDecoder(nn.Module):
    def __init__(self, latent_dim: int, channels: int = 3) -> None:
        super().__init__()
        self.linear = nn.Linear(latent_dim, 256)
        self.layers = nn.Sequential(
            nn.ReLU(),
            nn.ConvTranspose2d(256, 64, 4),
            nn.ReLU(),
            nn.ConvTranspose2d(64, 64, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(64, 32, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(32, 32, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(32, channels, 4, stride=2, padding=1),
            nn.Tanh(),
        )

    def forward(self, z: Tensor) -> Tensor:
        h = self.linear(z).view(-1, 256, 1, 1)
        return torch.tanh(self.layers(h))
''',
    ("ps5_decoder", "a sigmoid: nothing is darker than middle grey"): '''
class FaceDecoder(nn.Module):
    def __init__(self, latent_dim: int, channels: int = 3) -> None:
        super().__init__()
        self.linear = nn.Linear(latent_dim, 256)
        self.layers = nn.Sequential(
            nn.ReLU(),
            nn.ConvTranspose2d(256, 64, 4),
            nn.ReLU(),
            nn.ConvTranspose2d(64, 64, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(64, 32, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(32, 32, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(32, channels, 4, stride=2, padding=1),
        )

    def forward(self, z: Tensor) -> Tensor:
        h = self.linear(z).view(-1, 256, 1, 1)
        return torch.sigmoid(self.layers(h))
''',
    ("ps5_decoder", "three channels typed in"): '''
class FaceDecoder(nn.Module):
    def __init__(self, latent_dim: int, channels: int = 3) -> None:
        super().__init__()
        self.linear = nn.Linear(latent_dim, 256)
        self.layers = nn.Sequential(
            nn.ReLU(),
            nn.ConvTranspose2d(256, 64, 4),
            nn.ReLU(),
            nn.ConvTranspose2d(64, 64, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(64, 32, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(32, 32, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(32, 3, 4, stride=2, padding=1),
        )

    def forward(self, z: Tensor) -> Tensor:
        h = self.linear(z).view(-1, 256, 1, 1)
        return torch.tanh(self.layers(h))
''',
    ("ps5_log_likelihood", "sums over dimensions 1, 2, 3: plain vectors stop"): '''
def gaussian_log_likelihood(x: Tensor, mean: Tensor, var: Tensor | float = 1.0) -> Tensor:
    var = torch.as_tensor(var, dtype=x.dtype, device=x.device)
    terms = -0.5 * torch.log(2 * math.pi * var) - (x - mean) ** 2 / (2 * var)
    return terms.sum(dim=(1, 2, 3))
''',
    ("ps5_log_likelihood", "torch.tensor(var): no gradient reaches the variance"): '''
def gaussian_log_likelihood(x: Tensor, mean: Tensor, var: Tensor | float = 1.0) -> Tensor:
    var = torch.tensor(var, dtype=x.dtype, device=x.device)
    terms = -0.5 * torch.log(2 * math.pi * var) - (x - mean) ** 2 / (2 * var)
    return terms.flatten(1).sum(1)
''',
    ("ps5_log_likelihood", "the constant averaged over all variances: images' own ones mix"): '''
def gaussian_log_likelihood(x: Tensor, mean: Tensor, var: Tensor | float = 1.0) -> Tensor:
    var = torch.as_tensor(var, dtype=x.dtype, device=x.device)
    terms = (-((x - mean) ** 2) / (2 * var)).flatten(1)
    constant = terms.shape[1] * torch.log(2 * math.pi * var).mean() / 2
    return terms.sum(1) - constant
''',
    ("ps5_log_likelihood", "1e-6 added to the variance: 61 nats off at 0.0001"): '''
def gaussian_log_likelihood(x: Tensor, mean: Tensor, var: Tensor | float = 1.0) -> Tensor:
    var = torch.as_tensor(var, dtype=x.dtype, device=x.device)
    var = var + 1e-6
    terms = -0.5 * torch.log(2 * math.pi * var) - (x - mean) ** 2 / (2 * var)
    return terms.flatten(1).sum(1)
''',
    ("ps5_log_likelihood", "x is changed in place by the subtraction"): '''
def gaussian_log_likelihood(x: Tensor, mean: Tensor, var: Tensor | float = 1.0) -> Tensor:
    var = torch.as_tensor(var, dtype=x.dtype, device=x.device)
    x -= mean
    terms = -0.5 * torch.log(2 * math.pi * var) - x**2 / (2 * var)
    return terms.flatten(1).sum(1)
''',
    ("ps5_log_likelihood", "for a plain number the count 12,288 is typed in"): '''
def gaussian_log_likelihood(x: Tensor, mean: Tensor, var: Tensor | float = 1.0) -> Tensor:
    squares = (x - mean) ** 2
    if isinstance(var, Tensor):
        terms = -0.5 * torch.log(2 * math.pi * var) - squares / (2 * var)
        return terms.flatten(1).sum(1)
    constant = 3 * 64 * 64 / 2 * math.log(2 * math.pi * var)
    return -constant - squares.flatten(1).sum(1) / (2 * var)
''',
    ("ps5_log_likelihood", "isinstance(var, float): the whole number 1 has no log()"): '''
def gaussian_log_likelihood(x: Tensor, mean: Tensor, var: Tensor | float = 1.0) -> Tensor:
    log_var = math.log(var) if isinstance(var, float) else var.log()
    terms = -0.5 * (math.log(2 * math.pi) + log_var + (x - mean) ** 2 / var)
    return terms.flatten(1).sum(1)
''',
    ("ps5_log_likelihood", "the density first, then its logarithm: it underflows"): '''
def gaussian_log_likelihood(x: Tensor, mean: Tensor, var: Tensor | float = 1.0) -> Tensor:
    var = torch.as_tensor(var, dtype=x.dtype, device=x.device)
    density = torch.exp(-((x - mean) ** 2) / (2 * var)) / torch.sqrt(2 * math.pi * var)
    terms = torch.log(density)
    return terms.flatten(1).sum(1)
''',
    ("ps5_log_likelihood", "plain numbers collected in a loop: no gradient at all"): '''
def gaussian_log_likelihood(x: Tensor, mean: Tensor, var: Tensor | float = 1.0) -> Tensor:
    var = torch.as_tensor(var, dtype=x.dtype, device=x.device)
    terms = -0.5 * torch.log(2 * math.pi * var) - (x - mean) ** 2 / (2 * var)
    return torch.tensor(
        [image.sum().item() for image in terms], dtype=x.dtype, device=x.device
    )
''',
    ("ps5_log_likelihood", "var handed to Normal as a standard deviation"): '''
def gaussian_log_likelihood(x: Tensor, mean: Tensor, var: Tensor | float = 1.0) -> Tensor:
    return Normal(mean, var).log_prob(x).flatten(1).sum(1)
''',
    ("ps5_log_likelihood", "gaussian_nll_loss leaves the 2 pi out"): '''
def gaussian_log_likelihood(x: Tensor, mean: Tensor, var: Tensor | float = 1.0) -> Tensor:
    var = torch.as_tensor(var, dtype=x.dtype, device=x.device)
    terms = -F.gaussian_nll_loss(mean, x, var.expand_as(x), reduction="none")
    return terms.flatten(1).sum(1)
''',
    ("ps5_log_likelihood", "one number for the whole batch"): '''
def gaussian_log_likelihood(x: Tensor, mean: Tensor, var: Tensor | float = 1.0) -> Tensor:
    var = torch.as_tensor(var, dtype=x.dtype, device=x.device)
    terms = -0.5 * torch.log(2 * math.pi * var) - (x - mean) ** 2 / (2 * var)
    return terms.sum()
''',
    ("ps5_log_likelihood", "mean over the pixels, not their sum"): '''
def gaussian_log_likelihood(x: Tensor, mean: Tensor, var: Tensor | float = 1.0) -> Tensor:
    var = torch.as_tensor(var, dtype=x.dtype, device=x.device)
    terms = -0.5 * torch.log(2 * math.pi * var) - (x - mean) ** 2 / (2 * var)
    return terms.flatten(1).mean(1)
''',
    ("ps5_sample", "noise of the default type and device: half precision comes out as float32"): '''
def draw_gaussian(
    mean: Tensor, var: Tensor | float, generator: torch.Generator | None = None
) -> Tensor:
    noise = torch.randn(mean.shape, generator=generator)
    std = torch.as_tensor(var, device=mean.device, dtype=mean.dtype).sqrt()
    return mean + std * noise
''',
    ("ps5_sample", "isinstance(var, float): a variance of 1, a whole number, has no sqrt()"): '''
def draw_gaussian(
    mean: Tensor, var: Tensor | float, generator: torch.Generator | None = None
) -> Tensor:
    noise = torch.randn(mean.shape, generator=generator, device=mean.device, dtype=mean.dtype)
    std = math.sqrt(var) if isinstance(var, float) else var.sqrt()
    return mean + std * noise
''',
    ("ps5_sample", "without a generator a new one with seed 0: always the same noise"): '''
def draw_gaussian(
    mean: Tensor, var: Tensor | float, generator: torch.Generator | None = None
) -> Tensor:
    generator = generator or torch.Generator(mean.device).manual_seed(0)
    noise = torch.randn(mean.shape, generator=generator, device=mean.device, dtype=mean.dtype)
    std = torch.as_tensor(var, device=mean.device, dtype=mean.dtype).sqrt()
    return mean + std * noise
''',
    ("ps5_sample", "PyTorch reseeded by the generator's seed: each draw is the same"): '''
def draw_gaussian(
    mean: Tensor, var: Tensor | float, generator: torch.Generator | None = None
) -> Tensor:
    if generator is not None:
        torch.manual_seed(generator.initial_seed())
    noise = torch.randn_like(mean)
    std = torch.as_tensor(var, device=mean.device, dtype=mean.dtype).sqrt()
    return mean + std * noise
''',
    ("ps5_sample", "draws from a copy of the generator, which stays where it was"): '''
def draw_gaussian(
    mean: Tensor, var: Tensor | float, generator: torch.Generator | None = None
) -> Tensor:
    if generator is not None:
        state, generator = generator.get_state(), torch.Generator(mean.device)
        generator.set_state(state)
    noise = torch.randn(mean.shape, generator=generator, device=mean.device, dtype=mean.dtype)
    std = torch.as_tensor(var, device=mean.device, dtype=mean.dtype).sqrt()
    return mean + std * noise
''',
    ("ps5_sample", "1e-6 added to the variance: double at the floor, noise at 0"): '''
def draw_gaussian(
    mean: Tensor, var: Tensor | float, generator: torch.Generator | None = None
) -> Tensor:
    noise = torch.randn(mean.shape, generator=generator, device=mean.device, dtype=mean.dtype)
    std = torch.as_tensor(var, device=mean.device, dtype=mean.dtype).add(1e-6).sqrt()
    return mean + std * noise
''',
    ("ps5_sample", "noise of the variance's shape: one number shared by all"): '''
def draw_gaussian(
    mean: Tensor, var: Tensor | float, generator: torch.Generator | None = None
) -> Tensor:
    std = torch.as_tensor(var, device=mean.device, dtype=mean.dtype).sqrt()
    noise = torch.randn(std.shape, generator=generator, device=mean.device, dtype=mean.dtype)
    return mean + std * noise
''',
    ("ps5_sample", "noise cut at -2 and 2: too narrow, no tails"): '''
def draw_gaussian(
    mean: Tensor, var: Tensor | float, generator: torch.Generator | None = None
) -> Tensor:
    noise = torch.randn(mean.shape, generator=generator, device=mean.device, dtype=mean.dtype)
    std = torch.as_tensor(var, device=mean.device, dtype=mean.dtype).sqrt()
    return mean + std * noise.clamp(-2, 2)
''',
    ("ps5_sample", "the variance itself stretches the noise"): '''
def draw_gaussian(
    mean: Tensor, var: Tensor | float, generator: torch.Generator | None = None
) -> Tensor:
    noise = torch.randn(mean.shape, generator=generator, device=mean.device, dtype=mean.dtype)
    std = torch.as_tensor(var, device=mean.device, dtype=mean.dtype).sqrt()
    return mean + var * noise
''',
    ("ps5_sample", "torch.normal: no gradient to mean or variance"): '''
def draw_gaussian(
    mean: Tensor, var: Tensor | float, generator: torch.Generator | None = None
) -> Tensor:
    std = torch.as_tensor(var, device=mean.device, dtype=mean.dtype).sqrt()
    return torch.normal(mean, std.expand_as(mean), generator=generator)
''',
    ("ps5_sample", "the generator is not used"): '''
def draw_gaussian(
    mean: Tensor, var: Tensor | float, generator: torch.Generator | None = None
) -> Tensor:
    noise = torch.randn_like(mean)
    std = torch.as_tensor(var, device=mean.device, dtype=mean.dtype).sqrt()
    return mean + std * noise
''',
    ("ps5_sample", "rand in place of randn: not centred, not Gaussian"): '''
def draw_gaussian(
    mean: Tensor, var: Tensor | float, generator: torch.Generator | None = None
) -> Tensor:
    noise = torch.rand(mean.shape, generator=generator, device=mean.device, dtype=mean.dtype)
    std = torch.as_tensor(var, device=mean.device, dtype=mean.dtype).sqrt()
    return mean + std * noise
''',
    ("ps5_sample", "sample() of torch.distributions: no gradients, no generator"): '''
def draw_gaussian(
    mean: Tensor, var: Tensor | float, generator: torch.Generator | None = None
) -> Tensor:
    std = torch.as_tensor(var, device=mean.device, dtype=mean.dtype).sqrt()
    return Normal(mean, std).sample()
''',
    ("ps5_kl", "the sum is over dimension 1, not the last"): '''
def gaussian_kl_from_var(mu: Tensor, var: Tensor) -> Tensor:
    return 0.5 * (mu**2 + var - 1 - torch.log(var)).sum(1)
''',
    ("ps5_kl", "everything but the batch is summed"): '''
def gaussian_kl_from_var(mu: Tensor, var: Tensor) -> Tensor:
    return 0.5 * (mu**2 + var - 1 - torch.log(var)).flatten(1).sum(1)
''',
    ("ps5_kl", "k is the size of dimension 1"): '''
def gaussian_kl_from_var(mu: Tensor, var: Tensor) -> Tensor:
    k = mu.shape[1]
    return 0.5 * (mu.pow(2).sum(-1) + var.sum(-1) - k - var.log().sum(-1))
''',
    ("ps5_kl", "the mean is not squared"): '''
def gaussian_kl_from_var(mu: Tensor, var: Tensor) -> Tensor:
    return 0.5 * (mu.abs() + var - 1 - torch.log(var)).sum(-1)
''',
    ("ps5_kl", "the mean's square is divided by the variance, as in the other direction"): '''
def gaussian_kl_from_var(mu: Tensor, var: Tensor) -> Tensor:
    return 0.5 * (mu**2 / var + var - 1 - torch.log(var)).sum(-1)
''',
    ("ps5_kl", "variances below 0.001 are raised to it: wrong values, no gradient"): '''
def gaussian_kl_from_var(mu: Tensor, var: Tensor) -> Tensor:
    return 0.5 * (mu**2 + var - 1 - torch.log(var.clamp(min=1e-3))).sum(-1)
''',
    ("ps5_kl", "numpy's logarithm: its gradient is lost"): '''
def gaussian_kl_from_var(mu: Tensor, var: Tensor) -> Tensor:
    log_var = torch.from_numpy(np.log(var.detach().cpu().numpy())).to(var)
    return 0.5 * (mu**2 + var - 1 - log_var).sum(-1)
''',
    ("ps5_kl", "mu is squared in place"): '''
def gaussian_kl_from_var(mu: Tensor, var: Tensor) -> Tensor:
    return 0.5 * (mu.square_() + var - 1 - torch.log(var)).sum(-1)
''',
    ("ps5_kl", "squeeze: a batch of one loses its dimension"): '''
def gaussian_kl_from_var(mu: Tensor, var: Tensor) -> Tensor:
    return 0.5 * (mu**2 + var - 1 - torch.log(var)).sum(-1).squeeze()
''',
    ("ps5_kl", "var taken for a standard deviation"): '''
def gaussian_kl_from_var(mu: Tensor, var: Tensor) -> Tensor:
    return (0.5 * (mu**2 + var**2 - 1) - torch.log(var)).sum(-1)
''',
    ("ps5_kl", "KL in the other direction: prior from posterior"): '''
def gaussian_kl_from_var(mu: Tensor, var: Tensor) -> Tensor:
    return 0.5 * ((1 + mu**2) / var - 1 + torch.log(var)).sum(-1)
''',
    ("ps5_kl", "a mean over the dimensions"): '''
def gaussian_kl_from_var(mu: Tensor, var: Tensor) -> Tensor:
    return 0.5 * (mu**2 + var - 1 - torch.log(var)).mean(-1)
''',
    ("ps5_kl", "half forgotten"): '''
def gaussian_kl_from_var(mu: Tensor, var: Tensor) -> Tensor:
    return (mu**2 + var - 1 - torch.log(var)).sum(-1)
''',
    ("ps5_model", "the code is drawn with a standard deviation where a variance is wanted"): '''
class FaceVAE(nn.Module):
    def __init__(self, latent_dim: int = 100, channels: int = 3, var_x: float = 0.1) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.channels = channels
        self.var_x = var_x
        self.encoder = FaceEncoder(latent_dim, channels)
        self.decoder = FaceDecoder(latent_dim, channels)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.encoder(x)

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z)

    def forward(
        self, x: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        mu, var = self.encode(x)
        z = draw_gaussian(mu, var.sqrt(), generator)
        return self.decode(z), mu, var

    def reconstruct(self, x: Tensor) -> Tensor:
        was_training = self.training
        self.eval()
        with torch.no_grad():
            x_hat = self.decode(self.encode(x)[0])
        self.train(was_training)
        return x_hat

    def sample(
        self, num_samples: int, generator: torch.Generator | None = None, noisy: bool = False
    ) -> Tensor:
        was_training = self.training
        self.eval()
        with torch.no_grad():
            like = next(self.parameters())
            prior = torch.zeros(num_samples, self.latent_dim, dtype=like.dtype, device=like.device)
            images = self.decode(draw_gaussian(prior, 1.0, generator))
            if noisy:
                images = draw_gaussian(images, self.var_x, generator)
        self.train(was_training)
        return images
''',
    ("ps5_model", "the code is drawn with the observation variance"): '''
class FaceVAE(nn.Module):
    def __init__(self, latent_dim: int = 100, channels: int = 3, var_x: float = 0.1) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.channels = channels
        self.var_x = var_x
        self.encoder = FaceEncoder(latent_dim, channels)
        self.decoder = FaceDecoder(latent_dim, channels)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.encoder(x)

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z)

    def forward(
        self, x: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        mu, var = self.encode(x)
        z = draw_gaussian(mu, self.var_x, generator)
        return self.decode(z), mu, var

    def reconstruct(self, x: Tensor) -> Tensor:
        was_training = self.training
        self.eval()
        with torch.no_grad():
            x_hat = self.decode(self.encode(x)[0])
        self.train(was_training)
        return x_hat

    def sample(
        self, num_samples: int, generator: torch.Generator | None = None, noisy: bool = False
    ) -> Tensor:
        was_training = self.training
        self.eval()
        with torch.no_grad():
            like = next(self.parameters())
            prior = torch.zeros(num_samples, self.latent_dim, dtype=like.dtype, device=like.device)
            images = self.decode(draw_gaussian(prior, 1.0, generator))
            if noisy:
                images = draw_gaussian(images, self.var_x, generator)
        self.train(was_training)
        return images
''',
    ("ps5_model", "forward returns var before mu"): '''
class FaceVAE(nn.Module):
    def __init__(self, latent_dim: int = 100, channels: int = 3, var_x: float = 0.1) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.channels = channels
        self.var_x = var_x
        self.encoder = FaceEncoder(latent_dim, channels)
        self.decoder = FaceDecoder(latent_dim, channels)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.encoder(x)

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z)

    def forward(
        self, x: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        mu, var = self.encode(x)
        z = draw_gaussian(mu, var, generator)
        return self.decode(z), var, mu

    def reconstruct(self, x: Tensor) -> Tensor:
        was_training = self.training
        self.eval()
        with torch.no_grad():
            x_hat = self.decode(self.encode(x)[0])
        self.train(was_training)
        return x_hat

    def sample(
        self, num_samples: int, generator: torch.Generator | None = None, noisy: bool = False
    ) -> Tensor:
        was_training = self.training
        self.eval()
        with torch.no_grad():
            like = next(self.parameters())
            prior = torch.zeros(num_samples, self.latent_dim, dtype=like.dtype, device=like.device)
            images = self.decode(draw_gaussian(prior, 1.0, generator))
            if noisy:
                images = draw_gaussian(images, self.var_x, generator)
        self.train(was_training)
        return images
''',
    ("ps5_model", "reconstruct decodes a seeded draw, not the mean"): '''
class FaceVAE(nn.Module):
    def __init__(self, latent_dim: int = 100, channels: int = 3, var_x: float = 0.1) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.channels = channels
        self.var_x = var_x
        self.encoder = FaceEncoder(latent_dim, channels)
        self.decoder = FaceDecoder(latent_dim, channels)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.encoder(x)

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z)

    def forward(
        self, x: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        mu, var = self.encode(x)
        z = draw_gaussian(mu, var, generator)
        return self.decode(z), mu, var

    def reconstruct(self, x: Tensor) -> Tensor:
        was_training = self.training
        self.eval()
        with torch.no_grad():
            x_hat = self(x, torch.Generator(x.device).manual_seed(0))[0]
        self.train(was_training)
        return x_hat

    def sample(
        self, num_samples: int, generator: torch.Generator | None = None, noisy: bool = False
    ) -> Tensor:
        was_training = self.training
        self.eval()
        with torch.no_grad():
            like = next(self.parameters())
            prior = torch.zeros(num_samples, self.latent_dim, dtype=like.dtype, device=like.device)
            images = self.decode(draw_gaussian(prior, 1.0, generator))
            if noisy:
                images = draw_gaussian(images, self.var_x, generator)
        self.train(was_training)
        return images
''',
    ("ps5_model", "without gradients, but never in evaluation mode"): '''
class FaceVAE(nn.Module):
    def __init__(self, latent_dim: int = 100, channels: int = 3, var_x: float = 0.1) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.channels = channels
        self.var_x = var_x
        self.encoder = FaceEncoder(latent_dim, channels)
        self.decoder = FaceDecoder(latent_dim, channels)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.encoder(x)

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z)

    def forward(
        self, x: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        mu, var = self.encode(x)
        z = draw_gaussian(mu, var, generator)
        return self.decode(z), mu, var

    def reconstruct(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            x_hat = self.decode(self.encode(x)[0])
        return x_hat

    def sample(
        self, num_samples: int, generator: torch.Generator | None = None, noisy: bool = False
    ) -> Tensor:
        with torch.no_grad():
            like = next(self.parameters())
            prior = torch.zeros(num_samples, self.latent_dim, dtype=like.dtype, device=like.device)
            images = self.decode(draw_gaussian(prior, 1.0, generator))
            if noisy:
                images = draw_gaussian(images, self.var_x, generator)
        return images
''',
    ("ps5_model", "gradients are switched off for good: training stops afterwards"): '''
class FaceVAE(nn.Module):
    def __init__(self, latent_dim: int = 100, channels: int = 3, var_x: float = 0.1) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.channels = channels
        self.var_x = var_x
        self.encoder = FaceEncoder(latent_dim, channels)
        self.decoder = FaceDecoder(latent_dim, channels)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.encoder(x)

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z)

    def forward(
        self, x: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        mu, var = self.encode(x)
        z = draw_gaussian(mu, var, generator)
        return self.decode(z), mu, var

    def reconstruct(self, x: Tensor) -> Tensor:
        was_training = self.training
        self.eval()
        torch.set_grad_enabled(False)
        x_hat = self.decode(self.encode(x)[0])
        self.train(was_training)
        return x_hat

    def sample(
        self, num_samples: int, generator: torch.Generator | None = None, noisy: bool = False
    ) -> Tensor:
        was_training = self.training
        self.eval()
        torch.set_grad_enabled(False)
        like = next(self.parameters())
        prior = torch.zeros(num_samples, self.latent_dim, dtype=like.dtype, device=like.device)
        images = self.decode(draw_gaussian(prior, 1.0, generator))
        if noisy:
            images = draw_gaussian(images, self.var_x, generator)
        self.train(was_training)
        return images
''',
    ("ps5_model", "var_x is a buffer: load_state_dict of another model overwrites it"): '''
class FaceVAE(nn.Module):
    def __init__(self, latent_dim: int = 100, channels: int = 3, var_x: float = 0.1) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.channels = channels
        self.register_buffer("var_x", torch.tensor(var_x))
        self.encoder = FaceEncoder(latent_dim, channels)
        self.decoder = FaceDecoder(latent_dim, channels)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.encoder(x)

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z)

    def forward(
        self, x: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        mu, var = self.encode(x)
        z = draw_gaussian(mu, var, generator)
        return self.decode(z), mu, var

    def reconstruct(self, x: Tensor) -> Tensor:
        was_training = self.training
        self.eval()
        with torch.no_grad():
            x_hat = self.decode(self.encode(x)[0])
        self.train(was_training)
        return x_hat

    def sample(
        self, num_samples: int, generator: torch.Generator | None = None, noisy: bool = False
    ) -> Tensor:
        was_training = self.training
        self.eval()
        with torch.no_grad():
            like = next(self.parameters())
            prior = torch.zeros(num_samples, self.latent_dim, dtype=like.dtype, device=like.device)
            images = self.decode(draw_gaussian(prior, 1.0, generator))
            if noisy:
                images = draw_gaussian(images, self.var_x, generator)
        self.train(was_training)
        return images
''',
    ("ps5_model", "the same noise on all images of a batch"): '''
class FaceVAE(nn.Module):
    def __init__(self, latent_dim: int = 100, channels: int = 3, var_x: float = 0.1) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.channels = channels
        self.var_x = var_x
        self.encoder = FaceEncoder(latent_dim, channels)
        self.decoder = FaceDecoder(latent_dim, channels)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.encoder(x)

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z)

    def forward(
        self, x: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        mu, var = self.encode(x)
        z = draw_gaussian(mu, var, generator)
        return self.decode(z), mu, var

    def reconstruct(self, x: Tensor) -> Tensor:
        was_training = self.training
        self.eval()
        with torch.no_grad():
            x_hat = self.decode(self.encode(x)[0])
        self.train(was_training)
        return x_hat

    def sample(
        self, num_samples: int, generator: torch.Generator | None = None, noisy: bool = False
    ) -> Tensor:
        was_training = self.training
        self.eval()
        with torch.no_grad():
            like = next(self.parameters())
            prior = torch.zeros(num_samples, self.latent_dim, dtype=like.dtype, device=like.device)
            images = self.decode(draw_gaussian(prior, 1.0, generator))
            if noisy:
                images = images + draw_gaussian(torch.zeros_like(images[:1]), self.var_x, generator)
        self.train(was_training)
        return images
''',
    ("ps5_model", "without a generator the samples are always those of seed 0"): '''
class FaceVAE(nn.Module):
    def __init__(self, latent_dim: int = 100, channels: int = 3, var_x: float = 0.1) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.channels = channels
        self.var_x = var_x
        self.encoder = FaceEncoder(latent_dim, channels)
        self.decoder = FaceDecoder(latent_dim, channels)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.encoder(x)

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z)

    def forward(
        self, x: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        mu, var = self.encode(x)
        z = draw_gaussian(mu, var, generator)
        return self.decode(z), mu, var

    def reconstruct(self, x: Tensor) -> Tensor:
        was_training = self.training
        self.eval()
        with torch.no_grad():
            x_hat = self.decode(self.encode(x)[0])
        self.train(was_training)
        return x_hat

    def sample(
        self, num_samples: int, generator: torch.Generator | None = None, noisy: bool = False
    ) -> Tensor:
        was_training = self.training
        self.eval()
        with torch.no_grad():
            like = next(self.parameters())
            generator = generator or torch.Generator(like.device).manual_seed(0)
            prior = torch.zeros(num_samples, self.latent_dim, dtype=like.dtype, device=like.device)
            images = self.decode(draw_gaussian(prior, 1.0, generator))
            if noisy:
                images = draw_gaussian(images, self.var_x, generator)
        self.train(was_training)
        return images
''',
    ("ps5_model", "codes on the notebook's device, not on the model's"): '''
class FaceVAE(nn.Module):
    def __init__(self, latent_dim: int = 100, channels: int = 3, var_x: float = 0.1) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.channels = channels
        self.var_x = var_x
        self.encoder = FaceEncoder(latent_dim, channels)
        self.decoder = FaceDecoder(latent_dim, channels)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.encoder(x)

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z)

    def forward(
        self, x: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        mu, var = self.encode(x)
        z = draw_gaussian(mu, var, generator)
        return self.decode(z), mu, var

    def reconstruct(self, x: Tensor) -> Tensor:
        was_training = self.training
        self.eval()
        with torch.no_grad():
            x_hat = self.decode(self.encode(x)[0])
        self.train(was_training)
        return x_hat

    def sample(
        self, num_samples: int, generator: torch.Generator | None = None, noisy: bool = False
    ) -> Tensor:
        was_training = self.training
        self.eval()
        with torch.no_grad():
            prior = torch.zeros(num_samples, self.latent_dim, device=device)
            images = self.decode(draw_gaussian(prior, 1.0, generator))
            if noisy:
                images = draw_gaussian(images, self.var_x, generator)
        self.train(was_training)
        return images
''',
    ("ps5_model", "noisy pixels scatter by a standard deviation of var_x"): '''
class FaceVAE(nn.Module):
    def __init__(self, latent_dim: int = 100, channels: int = 3, var_x: float = 0.1) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.channels = channels
        self.var_x = var_x
        self.encoder = FaceEncoder(latent_dim, channels)
        self.decoder = FaceDecoder(latent_dim, channels)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.encoder(x)

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z)

    def forward(
        self, x: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        mu, var = self.encode(x)
        z = draw_gaussian(mu, var, generator)
        return self.decode(z), mu, var

    def reconstruct(self, x: Tensor) -> Tensor:
        was_training = self.training
        self.eval()
        with torch.no_grad():
            x_hat = self.decode(self.encode(x)[0])
        self.train(was_training)
        return x_hat

    def sample(
        self, num_samples: int, generator: torch.Generator | None = None, noisy: bool = False
    ) -> Tensor:
        was_training = self.training
        self.eval()
        with torch.no_grad():
            like = next(self.parameters())
            prior = torch.zeros(num_samples, self.latent_dim, dtype=like.dtype, device=like.device)
            images = self.decode(draw_gaussian(prior, 1.0, generator))
            if noisy:
                images = draw_gaussian(images, self.var_x**2, generator)
        self.train(was_training)
        return images
''',
    ("ps5_model", "always left in training mode"): '''
class FaceVAE(nn.Module):
    def __init__(self, latent_dim: int = 100, channels: int = 3, var_x: float = 0.1) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.channels = channels
        self.var_x = var_x
        self.encoder = FaceEncoder(latent_dim, channels)
        self.decoder = FaceDecoder(latent_dim, channels)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.encoder(x)

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z)

    def forward(
        self, x: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        mu, var = self.encode(x)
        z = draw_gaussian(mu, var, generator)
        return self.decode(z), mu, var

    def reconstruct(self, x: Tensor) -> Tensor:
        was_training = self.training
        self.eval()
        with torch.no_grad():
            x_hat = self.decode(self.encode(x)[0])
        self.train()
        return x_hat

    def sample(
        self, num_samples: int, generator: torch.Generator | None = None, noisy: bool = False
    ) -> Tensor:
        was_training = self.training
        self.eval()
        with torch.no_grad():
            like = next(self.parameters())
            prior = torch.zeros(num_samples, self.latent_dim, dtype=like.dtype, device=like.device)
            images = self.decode(draw_gaussian(prior, 1.0, generator))
            if noisy:
                images = draw_gaussian(images, self.var_x, generator)
        self.train()
        return images
''',
    ("ps5_model", "the pixels' noise comes without the generator"): '''
class FaceVAE(nn.Module):
    def __init__(self, latent_dim: int = 100, channels: int = 3, var_x: float = 0.1) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.channels = channels
        self.var_x = var_x
        self.encoder = FaceEncoder(latent_dim, channels)
        self.decoder = FaceDecoder(latent_dim, channels)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.encoder(x)

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z)

    def forward(
        self, x: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        mu, var = self.encode(x)
        z = draw_gaussian(mu, var, generator)
        return self.decode(z), mu, var

    def reconstruct(self, x: Tensor) -> Tensor:
        was_training = self.training
        self.eval()
        with torch.no_grad():
            x_hat = self.decode(self.encode(x)[0])
        self.train(was_training)
        return x_hat

    def sample(
        self, num_samples: int, generator: torch.Generator | None = None, noisy: bool = False
    ) -> Tensor:
        was_training = self.training
        self.eval()
        with torch.no_grad():
            like = next(self.parameters())
            prior = torch.zeros(num_samples, self.latent_dim, dtype=like.dtype, device=like.device)
            images = self.decode(draw_gaussian(prior, 1.0, generator))
            if noisy:
                images = draw_gaussian(images, self.var_x)
        self.train(was_training)
        return images
''',
    ("ps5_model", "0.1 typed in for var_x when noise is drawn"): '''
class FaceVAE(nn.Module):
    def __init__(self, latent_dim: int = 100, channels: int = 3, var_x: float = 0.1) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.channels = channels
        self.var_x = var_x
        self.encoder = FaceEncoder(latent_dim, channels)
        self.decoder = FaceDecoder(latent_dim, channels)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.encoder(x)

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z)

    def forward(
        self, x: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        mu, var = self.encode(x)
        z = draw_gaussian(mu, var, generator)
        return self.decode(z), mu, var

    def reconstruct(self, x: Tensor) -> Tensor:
        was_training = self.training
        self.eval()
        with torch.no_grad():
            x_hat = self.decode(self.encode(x)[0])
        self.train(was_training)
        return x_hat

    def sample(
        self, num_samples: int, generator: torch.Generator | None = None, noisy: bool = False
    ) -> Tensor:
        was_training = self.training
        self.eval()
        with torch.no_grad():
            like = next(self.parameters())
            prior = torch.zeros(num_samples, self.latent_dim, dtype=like.dtype, device=like.device)
            images = self.decode(draw_gaussian(prior, 1.0, generator))
            if noisy:
                images = draw_gaussian(images, 0.1, generator)
        self.train(was_training)
        return images
''',
    ("ps5_model", "noisy images cut to the range of the data"): '''
class FaceVAE(nn.Module):
    def __init__(self, latent_dim: int = 100, channels: int = 3, var_x: float = 0.1) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.channels = channels
        self.var_x = var_x
        self.encoder = FaceEncoder(latent_dim, channels)
        self.decoder = FaceDecoder(latent_dim, channels)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.encoder(x)

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z)

    def forward(
        self, x: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        mu, var = self.encode(x)
        z = draw_gaussian(mu, var, generator)
        return self.decode(z), mu, var

    def reconstruct(self, x: Tensor) -> Tensor:
        was_training = self.training
        self.eval()
        with torch.no_grad():
            x_hat = self.decode(self.encode(x)[0])
        self.train(was_training)
        return x_hat

    def sample(
        self, num_samples: int, generator: torch.Generator | None = None, noisy: bool = False
    ) -> Tensor:
        was_training = self.training
        self.eval()
        with torch.no_grad():
            like = next(self.parameters())
            prior = torch.zeros(num_samples, self.latent_dim, dtype=like.dtype, device=like.device)
            images = self.decode(draw_gaussian(prior, 1.0, generator))
            if noisy:
                images = draw_gaussian(images, self.var_x, generator).clamp(-1, 1)
        self.train(was_training)
        return images
''',
    ("ps5_checkpoint", "the generator is put back before a misfit is refused"): '''
def save_checkpoint(
    path: str | Path,
    model: FaceVAE,
    optimizer: Optimizer,
    epoch: int,
    history: dict,
    generator: torch.Generator | None = None,
) -> None:
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    generator = torch.default_generator if generator is None else generator
    state = {
        "settings": {name: getattr(model, name) for name in ("latent_dim", "channels", "var_x")},
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "epoch": epoch,
        "history": history,
        "random": generator.get_state(),
    }
    unfinished = path.with_name(path.name + ".unfinished")
    torch.save(state, unfinished)
    os.replace(unfinished, path)


def restore_checkpoint(
    path: str | Path,
    model: FaceVAE,
    optimizer: Optimizer,
    generator: torch.Generator | None = None,
) -> tuple[int, dict]:
    state = torch.load(path, map_location="cpu")
    generator = torch.default_generator if generator is None else generator
    generator.set_state(state["random"])
    settings = state["settings"]
    for name in settings:
        if settings[name] != getattr(model, name):
            raise ValueError(
                f"{path}: {name} is {settings[name]} there, and {getattr(model, name)} here"
            )
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    return state["epoch"], state["history"]


def restore_face_vae(path: str | Path) -> FaceVAE:
    state = torch.load(path, map_location="cpu")
    model = FaceVAE(**state["settings"])
    model.load_state_dict(state["model"])
    return model
''',
    ("ps5_checkpoint", "the optimizer is loaded before a misfit is refused"): '''
def save_checkpoint(
    path: str | Path,
    model: FaceVAE,
    optimizer: Optimizer,
    epoch: int,
    history: dict,
    generator: torch.Generator | None = None,
) -> None:
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    generator = torch.default_generator if generator is None else generator
    state = {
        "settings": {name: getattr(model, name) for name in ("latent_dim", "channels", "var_x")},
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "epoch": epoch,
        "history": history,
        "random": generator.get_state(),
    }
    unfinished = path.with_name(path.name + ".unfinished")
    torch.save(state, unfinished)
    os.replace(unfinished, path)


def restore_checkpoint(
    path: str | Path,
    model: FaceVAE,
    optimizer: Optimizer,
    generator: torch.Generator | None = None,
) -> tuple[int, dict]:
    state = torch.load(path, map_location="cpu")
    optimizer.load_state_dict(state["optimizer"])
    settings = state["settings"]
    for name in settings:
        if settings[name] != getattr(model, name):
            raise ValueError(
                f"{path}: {name} is {settings[name]} there, and {getattr(model, name)} here"
            )
    model.load_state_dict(state["model"])
    generator = torch.default_generator if generator is None else generator
    generator.set_state(state["random"])
    return state["epoch"], state["history"]


def restore_face_vae(path: str | Path) -> FaceVAE:
    state = torch.load(path, map_location="cpu")
    model = FaceVAE(**state["settings"])
    model.load_state_dict(state["model"])
    return model
''',
    ("ps5_checkpoint", "the number of channels is not compared"): '''
def save_checkpoint(
    path: str | Path,
    model: FaceVAE,
    optimizer: Optimizer,
    epoch: int,
    history: dict,
    generator: torch.Generator | None = None,
) -> None:
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    generator = torch.default_generator if generator is None else generator
    state = {
        "settings": {name: getattr(model, name) for name in ("latent_dim", "channels", "var_x")},
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "epoch": epoch,
        "history": history,
        "random": generator.get_state(),
    }
    unfinished = path.with_name(path.name + ".unfinished")
    torch.save(state, unfinished)
    os.replace(unfinished, path)


def restore_checkpoint(
    path: str | Path,
    model: FaceVAE,
    optimizer: Optimizer,
    generator: torch.Generator | None = None,
) -> tuple[int, dict]:
    state = torch.load(path, map_location="cpu")
    settings = state["settings"]
    for name in ("latent_dim", "var_x"):
        if settings[name] != getattr(model, name):
            raise ValueError(
                f"{path}: {name} is {settings[name]} there, and {getattr(model, name)} here"
            )
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    generator = torch.default_generator if generator is None else generator
    generator.set_state(state["random"])
    return state["epoch"], state["history"]


def restore_face_vae(path: str | Path) -> FaceVAE:
    state = torch.load(path, map_location="cpu")
    model = FaceVAE(**state["settings"])
    model.load_state_dict(state["model"])
    return model
''',
    ("ps5_checkpoint", "Adam's moments come back, its learning rate does not"): '''
def save_checkpoint(
    path: str | Path,
    model: FaceVAE,
    optimizer: Optimizer,
    epoch: int,
    history: dict,
    generator: torch.Generator | None = None,
) -> None:
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    generator = torch.default_generator if generator is None else generator
    state = {
        "settings": {name: getattr(model, name) for name in ("latent_dim", "channels", "var_x")},
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict()["state"],
        "epoch": epoch,
        "history": history,
        "random": generator.get_state(),
    }
    unfinished = path.with_name(path.name + ".unfinished")
    torch.save(state, unfinished)
    os.replace(unfinished, path)


def restore_checkpoint(
    path: str | Path,
    model: FaceVAE,
    optimizer: Optimizer,
    generator: torch.Generator | None = None,
) -> tuple[int, dict]:
    state = torch.load(path, map_location="cpu")
    settings = state["settings"]
    for name in settings:
        if settings[name] != getattr(model, name):
            raise ValueError(
                f"{path}: {name} is {settings[name]} there, and {getattr(model, name)} here"
            )
    model.load_state_dict(state["model"])
    memory = {**optimizer.state_dict(), "state": state["optimizer"]}
    optimizer.load_state_dict(memory)
    generator = torch.default_generator if generator is None else generator
    generator.set_state(state["random"])
    return state["epoch"], state["history"]


def restore_face_vae(path: str | Path) -> FaceVAE:
    state = torch.load(path, map_location="cpu")
    model = FaceVAE(**state["settings"])
    model.load_state_dict(state["model"])
    return model
''',
    ("ps5_checkpoint", "history through JSON: keys that are numbers come back as text"): '''
import json


def save_checkpoint(
    path: str | Path,
    model: FaceVAE,
    optimizer: Optimizer,
    epoch: int,
    history: dict,
    generator: torch.Generator | None = None,
) -> None:
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    generator = torch.default_generator if generator is None else generator
    state = {
        "settings": {name: getattr(model, name) for name in ("latent_dim", "channels", "var_x")},
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "epoch": epoch,
        "history": json.dumps(history),
        "random": generator.get_state(),
    }
    unfinished = path.with_name(path.name + ".unfinished")
    torch.save(state, unfinished)
    os.replace(unfinished, path)


def restore_checkpoint(
    path: str | Path,
    model: FaceVAE,
    optimizer: Optimizer,
    generator: torch.Generator | None = None,
) -> tuple[int, dict]:
    state = torch.load(path, map_location="cpu")
    settings = state["settings"]
    for name in settings:
        if settings[name] != getattr(model, name):
            raise ValueError(
                f"{path}: {name} is {settings[name]} there, and {getattr(model, name)} here"
            )
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    generator = torch.default_generator if generator is None else generator
    generator.set_state(state["random"])
    return state["epoch"], json.loads(state["history"])


def restore_face_vae(path: str | Path) -> FaceVAE:
    state = torch.load(path, map_location="cpu")
    model = FaceVAE(**state["settings"])
    model.load_state_dict(state["model"])
    return model
''',
    ("ps5_checkpoint", "a path that is a str has no parent"): '''
def save_checkpoint(
    path: str | Path,
    model: FaceVAE,
    optimizer: Optimizer,
    epoch: int,
    history: dict,
    generator: torch.Generator | None = None,
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    generator = torch.default_generator if generator is None else generator
    state = {
        "settings": {name: getattr(model, name) for name in ("latent_dim", "channels", "var_x")},
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "epoch": epoch,
        "history": history,
        "random": generator.get_state(),
    }
    unfinished = path.with_name(path.name + ".unfinished")
    torch.save(state, unfinished)
    os.replace(unfinished, path)


def restore_checkpoint(
    path: str | Path,
    model: FaceVAE,
    optimizer: Optimizer,
    generator: torch.Generator | None = None,
) -> tuple[int, dict]:
    state = torch.load(path, map_location="cpu")
    settings = state["settings"]
    for name in settings:
        if settings[name] != getattr(model, name):
            raise ValueError(
                f"{path}: {name} is {settings[name]} there, and {getattr(model, name)} here"
            )
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    generator = torch.default_generator if generator is None else generator
    generator.set_state(state["random"])
    return state["epoch"], state["history"]


def restore_face_vae(path: str | Path) -> FaceVAE:
    state = torch.load(path, map_location="cpu")
    model = FaceVAE(**state["settings"])
    model.load_state_dict(state["model"])
    return model
''',
    ("ps5_checkpoint", "a missing folder in a missing folder is not made"): '''
def save_checkpoint(
    path: str | Path,
    model: FaceVAE,
    optimizer: Optimizer,
    epoch: int,
    history: dict,
    generator: torch.Generator | None = None,
) -> None:
    path = Path(path)
    path.parent.mkdir(exist_ok=True)
    generator = torch.default_generator if generator is None else generator
    state = {
        "settings": {name: getattr(model, name) for name in ("latent_dim", "channels", "var_x")},
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "epoch": epoch,
        "history": history,
        "random": generator.get_state(),
    }
    unfinished = path.with_name(path.name + ".unfinished")
    torch.save(state, unfinished)
    os.replace(unfinished, path)


def restore_checkpoint(
    path: str | Path,
    model: FaceVAE,
    optimizer: Optimizer,
    generator: torch.Generator | None = None,
) -> tuple[int, dict]:
    state = torch.load(path, map_location="cpu")
    settings = state["settings"]
    for name in settings:
        if settings[name] != getattr(model, name):
            raise ValueError(
                f"{path}: {name} is {settings[name]} there, and {getattr(model, name)} here"
            )
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    generator = torch.default_generator if generator is None else generator
    generator.set_state(state["random"])
    return state["epoch"], state["history"]


def restore_face_vae(path: str | Path) -> FaceVAE:
    state = torch.load(path, map_location="cpu")
    model = FaceVAE(**state["settings"])
    model.load_state_dict(state["model"])
    return model
''',
    ("ps5_checkpoint", "the message does not say what differs"): '''
def save_checkpoint(
    path: str | Path,
    model: FaceVAE,
    optimizer: Optimizer,
    epoch: int,
    history: dict,
    generator: torch.Generator | None = None,
) -> None:
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    generator = torch.default_generator if generator is None else generator
    state = {
        "settings": {name: getattr(model, name) for name in ("latent_dim", "channels", "var_x")},
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "epoch": epoch,
        "history": history,
        "random": generator.get_state(),
    }
    unfinished = path.with_name(path.name + ".unfinished")
    torch.save(state, unfinished)
    os.replace(unfinished, path)


def restore_checkpoint(
    path: str | Path,
    model: FaceVAE,
    optimizer: Optimizer,
    generator: torch.Generator | None = None,
) -> tuple[int, dict]:
    state = torch.load(path, map_location="cpu")
    settings = state["settings"]
    for name in settings:
        if settings[name] != getattr(model, name):
            raise ValueError(
                f"{path} is the checkpoint of a model that was built in another way"
            )
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    generator = torch.default_generator if generator is None else generator
    generator.set_state(state["random"])
    return state["epoch"], state["history"]


def restore_face_vae(path: str | Path) -> FaceVAE:
    state = torch.load(path, map_location="cpu")
    model = FaceVAE(**state["settings"])
    model.load_state_dict(state["model"])
    return model
''',
    ("ps5_checkpoint", "replace('.pt', '.tmp'): other names are written in place"): '''
def save_checkpoint(
    path: str | Path,
    model: FaceVAE,
    optimizer: Optimizer,
    epoch: int,
    history: dict,
    generator: torch.Generator | None = None,
) -> None:
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    generator = torch.default_generator if generator is None else generator
    state = {
        "settings": {name: getattr(model, name) for name in ("latent_dim", "channels", "var_x")},
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "epoch": epoch,
        "history": history,
        "random": generator.get_state(),
    }
    unfinished = str(path).replace(".pt", ".tmp")
    torch.save(state, unfinished)
    os.replace(unfinished, path)


def restore_checkpoint(
    path: str | Path,
    model: FaceVAE,
    optimizer: Optimizer,
    generator: torch.Generator | None = None,
) -> tuple[int, dict]:
    state = torch.load(path, map_location="cpu")
    settings = state["settings"]
    for name in settings:
        if settings[name] != getattr(model, name):
            raise ValueError(
                f"{path}: {name} is {settings[name]} there, and {getattr(model, name)} here"
            )
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    generator = torch.default_generator if generator is None else generator
    generator.set_state(state["random"])
    return state["epoch"], state["history"]


def restore_face_vae(path: str | Path) -> FaceVAE:
    state = torch.load(path, map_location="cpu")
    model = FaceVAE(**state["settings"])
    model.load_state_dict(state["model"])
    return model
''',
    ("ps5_checkpoint", "var_x compared with a tolerance of 0.01: 0.01 and 0.002 are let pass"): '''
def save_checkpoint(
    path: str | Path,
    model: FaceVAE,
    optimizer: Optimizer,
    epoch: int,
    history: dict,
    generator: torch.Generator | None = None,
) -> None:
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    generator = torch.default_generator if generator is None else generator
    state = {
        "settings": {name: getattr(model, name) for name in ("latent_dim", "channels", "var_x")},
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "epoch": epoch,
        "history": history,
        "random": generator.get_state(),
    }
    unfinished = path.with_name(path.name + ".unfinished")
    torch.save(state, unfinished)
    os.replace(unfinished, path)


def restore_checkpoint(
    path: str | Path,
    model: FaceVAE,
    optimizer: Optimizer,
    generator: torch.Generator | None = None,
) -> tuple[int, dict]:
    state = torch.load(path, map_location="cpu")
    settings = state["settings"]
    for name in settings:
        if not math.isclose(settings[name], getattr(model, name), abs_tol=1e-2):
            raise ValueError(
                f"{path}: {name} is {settings[name]} there, and {getattr(model, name)} here"
            )
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    generator = torch.default_generator if generator is None else generator
    generator.set_state(state["random"])
    return state["epoch"], state["history"]


def restore_face_vae(path: str | Path) -> FaceVAE:
    state = torch.load(path, map_location="cpu")
    model = FaceVAE(**state["settings"])
    model.load_state_dict(state["model"])
    return model
''',
    ("ps5_checkpoint", "PyTorch's own state is saved, whatever generator is given"): '''
def save_checkpoint(
    path: str | Path,
    model: FaceVAE,
    optimizer: Optimizer,
    epoch: int,
    history: dict,
    generator: torch.Generator | None = None,
) -> None:
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    generator = torch.default_generator if generator is None else generator
    state = {
        "settings": {name: getattr(model, name) for name in ("latent_dim", "channels", "var_x")},
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "epoch": epoch,
        "history": history,
        "random": torch.get_rng_state(),
    }
    unfinished = path.with_name(path.name + ".unfinished")
    torch.save(state, unfinished)
    os.replace(unfinished, path)


def restore_checkpoint(
    path: str | Path,
    model: FaceVAE,
    optimizer: Optimizer,
    generator: torch.Generator | None = None,
) -> tuple[int, dict]:
    state = torch.load(path, map_location="cpu")
    settings = state["settings"]
    for name in settings:
        if settings[name] != getattr(model, name):
            raise ValueError(
                f"{path}: {name} is {settings[name]} there, and {getattr(model, name)} here"
            )
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    generator = torch.default_generator if generator is None else generator
    generator.set_state(state["random"])
    return state["epoch"], state["history"]


def restore_face_vae(path: str | Path) -> FaceVAE:
    state = torch.load(path, map_location="cpu")
    model = FaceVAE(**state["settings"])
    model.load_state_dict(state["model"])
    return model
''',
    ("ps5_checkpoint", "the optimizer is forgotten"): '''
def save_checkpoint(
    path: str | Path,
    model: FaceVAE,
    optimizer: Optimizer,
    epoch: int,
    history: dict,
    generator: torch.Generator | None = None,
) -> None:
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    generator = torch.default_generator if generator is None else generator
    state = {
        "settings": {name: getattr(model, name) for name in ("latent_dim", "channels", "var_x")},
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "epoch": epoch,
        "history": history,
        "random": generator.get_state(),
    }
    unfinished = path.with_name(path.name + ".unfinished")
    torch.save(state, unfinished)
    os.replace(unfinished, path)


def restore_checkpoint(
    path: str | Path,
    model: FaceVAE,
    optimizer: Optimizer,
    generator: torch.Generator | None = None,
) -> tuple[int, dict]:
    state = torch.load(path, map_location="cpu")
    settings = state["settings"]
    for name in settings:
        if settings[name] != getattr(model, name):
            raise ValueError(
                f"{path}: {name} is {settings[name]} there, and {getattr(model, name)} here"
            )
    model.load_state_dict(state["model"])
    generator = torch.default_generator if generator is None else generator
    generator.set_state(state["random"])
    return state["epoch"], state["history"]


def restore_face_vae(path: str | Path) -> FaceVAE:
    state = torch.load(path, map_location="cpu")
    model = FaceVAE(**state["settings"])
    model.load_state_dict(state["model"])
    return model
''',
    ("ps5_checkpoint", "the old file is removed before the new one has its name"): '''
def save_checkpoint(
    path: str | Path,
    model: FaceVAE,
    optimizer: Optimizer,
    epoch: int,
    history: dict,
    generator: torch.Generator | None = None,
) -> None:
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    generator = torch.default_generator if generator is None else generator
    state = {
        "settings": {name: getattr(model, name) for name in ("latent_dim", "channels", "var_x")},
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "epoch": epoch,
        "history": history,
        "random": generator.get_state(),
    }
    unfinished = path.with_name(path.name + ".unfinished")
    torch.save(state, unfinished)
    path.unlink(missing_ok=True)
    os.replace(unfinished, path)


def restore_checkpoint(
    path: str | Path,
    model: FaceVAE,
    optimizer: Optimizer,
    generator: torch.Generator | None = None,
) -> tuple[int, dict]:
    state = torch.load(path, map_location="cpu")
    settings = state["settings"]
    for name in settings:
        if settings[name] != getattr(model, name):
            raise ValueError(
                f"{path}: {name} is {settings[name]} there, and {getattr(model, name)} here"
            )
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    generator = torch.default_generator if generator is None else generator
    generator.set_state(state["random"])
    return state["epoch"], state["history"]


def restore_face_vae(path: str | Path) -> FaceVAE:
    state = torch.load(path, map_location="cpu")
    model = FaceVAE(**state["settings"])
    model.load_state_dict(state["model"])
    return model
''',
    ("ps5_checkpoint", "written in the system's temporary folder, maybe another disk"): '''
def save_checkpoint(
    path: str | Path,
    model: FaceVAE,
    optimizer: Optimizer,
    epoch: int,
    history: dict,
    generator: torch.Generator | None = None,
) -> None:
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    generator = torch.default_generator if generator is None else generator
    state = {
        "settings": {name: getattr(model, name) for name in ("latent_dim", "channels", "var_x")},
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "epoch": epoch,
        "history": history,
        "random": generator.get_state(),
    }
    unfinished = os.path.join(tempfile.mkdtemp(), path.name)
    torch.save(state, unfinished)
    shutil.move(unfinished, path)


def restore_checkpoint(
    path: str | Path,
    model: FaceVAE,
    optimizer: Optimizer,
    generator: torch.Generator | None = None,
) -> tuple[int, dict]:
    state = torch.load(path, map_location="cpu")
    settings = state["settings"]
    for name in settings:
        if settings[name] != getattr(model, name):
            raise ValueError(
                f"{path}: {name} is {settings[name]} there, and {getattr(model, name)} here"
            )
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    generator = torch.default_generator if generator is None else generator
    generator.set_state(state["random"])
    return state["epoch"], state["history"]


def restore_face_vae(path: str | Path) -> FaceVAE:
    state = torch.load(path, map_location="cpu")
    model = FaceVAE(**state["settings"])
    model.load_state_dict(state["model"])
    return model
''',
    ("ps5_checkpoint", "restore_face_vae without map_location"): '''
def save_checkpoint(
    path: str | Path,
    model: FaceVAE,
    optimizer: Optimizer,
    epoch: int,
    history: dict,
    generator: torch.Generator | None = None,
) -> None:
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    generator = torch.default_generator if generator is None else generator
    state = {
        "settings": {name: getattr(model, name) for name in ("latent_dim", "channels", "var_x")},
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "epoch": epoch,
        "history": history,
        "random": generator.get_state(),
    }
    unfinished = path.with_name(path.name + ".unfinished")
    torch.save(state, unfinished)
    os.replace(unfinished, path)


def restore_checkpoint(
    path: str | Path,
    model: FaceVAE,
    optimizer: Optimizer,
    generator: torch.Generator | None = None,
) -> tuple[int, dict]:
    state = torch.load(path, map_location="cpu")
    settings = state["settings"]
    for name in settings:
        if settings[name] != getattr(model, name):
            raise ValueError(
                f"{path}: {name} is {settings[name]} there, and {getattr(model, name)} here"
            )
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    generator = torch.default_generator if generator is None else generator
    generator.set_state(state["random"])
    return state["epoch"], state["history"]


def restore_face_vae(path: str | Path) -> FaceVAE:
    state = torch.load(path)
    model = FaceVAE(**state["settings"])
    model.load_state_dict(state["model"])
    return model
''',
    ("ps5_checkpoint", "the misfit is noticed by load_state_dict, after some was copied"): '''
def save_checkpoint(
    path: str | Path,
    model: FaceVAE,
    optimizer: Optimizer,
    epoch: int,
    history: dict,
    generator: torch.Generator | None = None,
) -> None:
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    generator = torch.default_generator if generator is None else generator
    state = {
        "settings": {name: getattr(model, name) for name in ("latent_dim", "channels", "var_x")},
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "epoch": epoch,
        "history": history,
        "random": generator.get_state(),
    }
    unfinished = path.with_name(path.name + ".unfinished")
    torch.save(state, unfinished)
    os.replace(unfinished, path)


def restore_checkpoint(
    path: str | Path,
    model: FaceVAE,
    optimizer: Optimizer,
    generator: torch.Generator | None = None,
) -> tuple[int, dict]:
    state = torch.load(path, map_location="cpu")
    settings = state["settings"]
    if settings["var_x"] != model.var_x:
        raise ValueError(f"var_x: {settings['var_x']} in {path}, {model.var_x} here")
    try:
        model.load_state_dict(state["model"])
    except RuntimeError as error:
        raise ValueError(f"{path}: {settings} do not fit the model: {error}") from error
    optimizer.load_state_dict(state["optimizer"])
    generator = torch.default_generator if generator is None else generator
    generator.set_state(state["random"])
    return state["epoch"], state["history"]


def restore_face_vae(path: str | Path) -> FaceVAE:
    state = torch.load(path, map_location="cpu")
    model = FaceVAE(**state["settings"])
    model.load_state_dict(state["model"])
    return model
''',
    ("ps5_interpolate", "steps of a tenth, however many frames"): '''
def interpolate_faces(
    model: FaceVAE, x_start: Tensor, x_end: Tensor, num_frames: int = 11
) -> Tensor:
    was_training = model.training
    model.eval()
    with torch.no_grad():
        z_start, z_end = model.encode(torch.stack([x_start, x_end]))[0]
        frames = []
        for i in range(num_frames):
            w = i / 10
            z = (1 - w) * z_start + w * z_end
            frames.append(model.decode(z.unsqueeze(0)))
    model.train(was_training)
    return torch.cat(frames)
''',
    ("ps5_interpolate", "arange with a step: for 7 or 10 frames there is one too many"): '''
def interpolate_faces(
    model: FaceVAE, x_start: Tensor, x_end: Tensor, num_frames: int = 11
) -> Tensor:
    was_training = model.training
    model.eval()
    with torch.no_grad():
        z_start, z_end = model.encode(torch.stack([x_start, x_end]))[0]
        step = 1 / (num_frames - 1)
        w = torch.arange(0, 1 + step, step, device=z_start.device).unsqueeze(1)
        frames = model.decode((1 - w) * z_start + w * z_end)
    model.train(was_training)
    return frames
''',
    ("ps5_interpolate", "eased in and out: the steps are not equal"): '''
def interpolate_faces(
    model: FaceVAE, x_start: Tensor, x_end: Tensor, num_frames: int = 11
) -> Tensor:
    was_training = model.training
    model.eval()
    with torch.no_grad():
        z_start, z_end = model.encode(torch.stack([x_start, x_end]))[0]
        w = torch.linspace(0, 1, num_frames, device=z_start.device).unsqueeze(1)
        w = (1 - torch.cos(math.pi * w)) / 2
        frames = model.decode((1 - w) * z_start + w * z_end)
    model.train(was_training)
    return frames
''',
    ("ps5_interpolate", "a stack of batches of one: a dimension too many"): '''
def interpolate_faces(
    model: FaceVAE, x_start: Tensor, x_end: Tensor, num_frames: int = 11
) -> Tensor:
    was_training = model.training
    model.eval()
    with torch.no_grad():
        z_start, z_end = model.encode(torch.stack([x_start, x_end]))[0]
        frames = []
        for i in range(num_frames):
            w = i / (num_frames - 1)
            z = (1 - w) * z_start + w * z_end
            frames.append(model.decode(z.unsqueeze(0)))
    model.train(was_training)
    return torch.stack(frames)
''',
    ("ps5_interpolate", "without gradients, but not in evaluation mode"): '''
def interpolate_faces(
    model: FaceVAE, x_start: Tensor, x_end: Tensor, num_frames: int = 11
) -> Tensor:
    with torch.no_grad():
        z_start, z_end = model.encode(torch.stack([x_start, x_end]))[0]
        w = torch.linspace(0, 1, num_frames, device=z_start.device).unsqueeze(1)
        return model.decode((1 - w) * z_start + w * z_end)
''',
    ("ps5_interpolate", "gradients are switched off for good"): '''
def interpolate_faces(
    model: FaceVAE, x_start: Tensor, x_end: Tensor, num_frames: int = 11
) -> Tensor:
    was_training = model.training
    model.eval()
    torch.set_grad_enabled(False)
    z_start, z_end = model.encode(torch.stack([x_start, x_end]))[0]
    w = torch.linspace(0, 1, num_frames, device=z_start.device).unsqueeze(1)
    frames = model.decode((1 - w) * z_start + w * z_end)
    model.train(was_training)
    return frames
''',
    ("ps5_interpolate", "the caller's images are unsqueezed in place"): '''
def interpolate_faces(
    model: FaceVAE, x_start: Tensor, x_end: Tensor, num_frames: int = 11
) -> Tensor:
    was_training = model.training
    model.eval()
    with torch.no_grad():
        z_start = model.encode(x_start.unsqueeze_(0))[0]
        z_end = model.encode(x_end.unsqueeze_(0))[0]
        w = torch.linspace(0, 1, num_frames, device=z_start.device).unsqueeze(1)
        frames = model.decode((1 - w) * z_start + w * z_end)
    model.train(was_training)
    return frames
''',
    ("ps5_interpolate", "w is cut to one decimal: right for 11 frames only"): '''
def interpolate_faces(
    model: FaceVAE, x_start: Tensor, x_end: Tensor, num_frames: int = 11
) -> Tensor:
    was_training = model.training
    model.eval()
    with torch.no_grad():
        z_start, z_end = model.encode(torch.stack([x_start, x_end]))[0]
        frames = []
        for i in range(num_frames):
            w = round(i / (num_frames - 1), 1)
            z = (1 - w) * z_start + w * z_end
            frames.append(model.decode(z.unsqueeze(0)))
    model.train(was_training)
    return torch.cat(frames)
''',
    ("ps5_interpolate", "the model is always left in training mode"): '''
def interpolate_faces(
    model: FaceVAE, x_start: Tensor, x_end: Tensor, num_frames: int = 11
) -> Tensor:
    was_training = model.training
    model.eval()
    with torch.no_grad():
        z_start, z_end = model.encode(torch.stack([x_start, x_end]))[0]
        w = torch.linspace(0, 1, num_frames, device=z_start.device).unsqueeze(1)
        frames = model.decode((1 - w) * z_start + w * z_end)
    model.train()
    return frames
''',
    ("ps5_interpolate", "the way back: from x_end to x_start"): '''
def interpolate_faces(
    model: FaceVAE, x_start: Tensor, x_end: Tensor, num_frames: int = 11
) -> Tensor:
    was_training = model.training
    model.eval()
    with torch.no_grad():
        z_start, z_end = model.encode(torch.stack([x_start, x_end]))[0]
        w = torch.linspace(0, 1, num_frames, device=z_start.device).unsqueeze(1)
        frames = model.decode(w * z_start + (1 - w) * z_end)
    model.train(was_training)
    return frames
''',
    ("ps5_interpolate", "the last frame is not reached"): '''
def interpolate_faces(
    model: FaceVAE, x_start: Tensor, x_end: Tensor, num_frames: int = 11
) -> Tensor:
    was_training = model.training
    model.eval()
    with torch.no_grad():
        z_start, z_end = model.encode(torch.stack([x_start, x_end]))[0]
        frames = []
        for i in range(num_frames):
            w = i / num_frames
            z = (1 - w) * z_start + w * z_end
            frames.append(model.decode(z.unsqueeze(0)))
    model.train(was_training)
    return torch.cat(frames)
''',
    ("ps5_interpolate", "codes drawn with a fixed seed, not posterior means"): '''
def interpolate_faces(
    model: FaceVAE, x_start: Tensor, x_end: Tensor, num_frames: int = 11
) -> Tensor:
    was_training = model.training
    model.eval()
    with torch.no_grad():
        mu, var = model.encode(torch.stack([x_start, x_end]))
        z_start, z_end = draw_gaussian(mu, var, torch.Generator(mu.device).manual_seed(0))
        w = torch.linspace(0, 1, num_frames, device=z_start.device).unsqueeze(1)
        frames = model.decode((1 - w) * z_start + w * z_end)
    model.train(was_training)
    return frames
''',
    ("ps5_interpolate", "on a sphere: half-way is not half-way"): '''
def interpolate_faces(
    model: FaceVAE, x_start: Tensor, x_end: Tensor, num_frames: int = 11
) -> Tensor:
    was_training = model.training
    model.eval()
    with torch.no_grad():
        z_start, z_end = model.encode(torch.stack([x_start, x_end]))[0]
        w = torch.linspace(0, 1, num_frames, device=z_start.device).unsqueeze(1)
        cosine = F.cosine_similarity(z_start, z_end, dim=0)
        angle = torch.acos(cosine.clamp(-0.9999, 0.9999))
        codes = torch.sin((1 - w) * angle) * z_start + torch.sin(w * angle) * z_end
        frames = model.decode(codes / torch.sin(angle))
    model.train(was_training)
    return frames
''',
    ("ps5_interpolate", "the ends are the photographs themselves"): '''
def interpolate_faces(
    model: FaceVAE, x_start: Tensor, x_end: Tensor, num_frames: int = 11
) -> Tensor:
    was_training = model.training
    model.eval()
    with torch.no_grad():
        z_start, z_end = model.encode(torch.stack([x_start, x_end]))[0]
        frames = []
        for i in range(num_frames):
            w = i / (num_frames - 1)
            z = (1 - w) * z_start + w * z_end
            frames.append(model.decode(z.unsqueeze(0)))
    model.train(was_training)
    frames[0], frames[-1] = x_start.unsqueeze(0), x_end.unsqueeze(0)
    return torch.cat(frames)
''',
    ("ps5_attributes", "the caller's direction is multiplied in place"): '''
def attribute_direction(codes: Tensor, has_attribute: Tensor) -> Tensor:
    if has_attribute.all() or not has_attribute.any():
        raise ValueError("all images have the attribute, or none has: nothing to compare")
    return codes[has_attribute].mean(0) - codes[~has_attribute].mean(0)


def edit_faces(model: FaceVAE, x: Tensor, direction: Tensor, strength: float = 1.0) -> Tensor:
    was_training = model.training
    model.eval()
    with torch.no_grad():
        mu, _ = model.encode(x)
        direction = direction.to(mu.device)
        direction *= strength
        images = model.decode(mu + direction)
    model.train(was_training)
    return images
''',
    ("ps5_attributes", "whole steps only: half a step is none"): '''
def attribute_direction(codes: Tensor, has_attribute: Tensor) -> Tensor:
    if has_attribute.all() or not has_attribute.any():
        raise ValueError("all images have the attribute, or none has: nothing to compare")
    return codes[has_attribute].mean(0) - codes[~has_attribute].mean(0)


def edit_faces(model: FaceVAE, x: Tensor, direction: Tensor, strength: float = 1.0) -> Tensor:
    was_training = model.training
    model.eval()
    with torch.no_grad():
        mu, _ = model.encode(x)
        direction = direction.to(mu.device)
        for _ in range(abs(int(strength))):
            mu = mu + direction if strength > 0 else mu - direction
        images = model.decode(mu)
    model.train(was_training)
    return images
''',
    ("ps5_attributes", "squeeze: a single face loses its batch dimension"): '''
def attribute_direction(codes: Tensor, has_attribute: Tensor) -> Tensor:
    if has_attribute.all() or not has_attribute.any():
        raise ValueError("all images have the attribute, or none has: nothing to compare")
    return codes[has_attribute].mean(0) - codes[~has_attribute].mean(0)


def edit_faces(model: FaceVAE, x: Tensor, direction: Tensor, strength: float = 1.0) -> Tensor:
    was_training = model.training
    model.eval()
    with torch.no_grad():
        mu, _ = model.encode(x)
        direction = direction.to(mu.device)
        images = model.decode(mu + strength * direction).squeeze()
    model.train(was_training)
    return images
''',
    ("ps5_attributes", "without gradients, but not in evaluation mode"): '''
def attribute_direction(codes: Tensor, has_attribute: Tensor) -> Tensor:
    if has_attribute.all() or not has_attribute.any():
        raise ValueError("all images have the attribute, or none has: nothing to compare")
    return codes[has_attribute].mean(0) - codes[~has_attribute].mean(0)


def edit_faces(model: FaceVAE, x: Tensor, direction: Tensor, strength: float = 1.0) -> Tensor:
    with torch.no_grad():
        mu, _ = model.encode(x)
        direction = direction.to(mu.device)
        images = model.decode(mu + strength * direction)
    return images
''',
    ("ps5_attributes", "the caller's codes are centred in place"): '''
def attribute_direction(codes: Tensor, has_attribute: Tensor) -> Tensor:
    if has_attribute.all() or not has_attribute.any():
        raise ValueError("all images have the attribute, or none has: nothing to compare")
    codes -= codes.mean(0)
    return codes[has_attribute].mean(0) - codes[~has_attribute].mean(0)


def edit_faces(model: FaceVAE, x: Tensor, direction: Tensor, strength: float = 1.0) -> Tensor:
    was_training = model.training
    model.eval()
    with torch.no_grad():
        mu, _ = model.encode(x)
        direction = direction.to(mu.device)
        images = model.decode(mu + strength * direction)
    model.train(was_training)
    return images
''',
    ("ps5_attributes", "the direction stays on its own device"): '''
def attribute_direction(codes: Tensor, has_attribute: Tensor) -> Tensor:
    if has_attribute.all() or not has_attribute.any():
        raise ValueError("all images have the attribute, or none has: nothing to compare")
    return codes[has_attribute].mean(0) - codes[~has_attribute].mean(0)


def edit_faces(model: FaceVAE, x: Tensor, direction: Tensor, strength: float = 1.0) -> Tensor:
    was_training = model.training
    model.eval()
    with torch.no_grad():
        mu, _ = model.encode(x)
        images = model.decode(mu + strength * direction)
    model.train(was_training)
    return images
''',
    ("ps5_attributes", "refused by a standard deviation of 0: it is NaN for one image alone"): '''
def attribute_direction(codes: Tensor, has_attribute: Tensor) -> Tensor:
    if has_attribute.float().std() == 0:
        raise ValueError("all images have the attribute, or none has: nothing to compare")
    return codes[has_attribute].mean(0) - codes[~has_attribute].mean(0)


def edit_faces(model: FaceVAE, x: Tensor, direction: Tensor, strength: float = 1.0) -> Tensor:
    was_training = model.training
    model.eval()
    with torch.no_grad():
        mu, _ = model.encode(x)
        direction = direction.to(mu.device)
        images = model.decode(mu + strength * direction)
    model.train(was_training)
    return images
''',
    ("ps5_attributes", "gradients are switched off for good"): '''
def attribute_direction(codes: Tensor, has_attribute: Tensor) -> Tensor:
    if has_attribute.all() or not has_attribute.any():
        raise ValueError("all images have the attribute, or none has: nothing to compare")
    return codes[has_attribute].mean(0) - codes[~has_attribute].mean(0)


def edit_faces(model: FaceVAE, x: Tensor, direction: Tensor, strength: float = 1.0) -> Tensor:
    was_training = model.training
    model.eval()
    torch.set_grad_enabled(False)
    mu, _ = model.encode(x)
    images = model.decode(mu + strength * direction.to(mu.device))
    model.train(was_training)
    return images
''',
    ("ps5_attributes", "refused if fewer than two images have it"): '''
def attribute_direction(codes: Tensor, has_attribute: Tensor) -> Tensor:
    if has_attribute.sum() < 2 or (~has_attribute).sum() < 2:
        raise ValueError("all images have the attribute, or none has: nothing to compare")
    return codes[has_attribute].mean(0) - codes[~has_attribute].mean(0)


def edit_faces(model: FaceVAE, x: Tensor, direction: Tensor, strength: float = 1.0) -> Tensor:
    was_training = model.training
    model.eval()
    with torch.no_grad():
        mu, _ = model.encode(x)
        direction = direction.to(mu.device)
        images = model.decode(mu + strength * direction)
    model.train(was_training)
    return images
''',
    ("ps5_attributes", "compared with the mean of all, not of those without"): '''
def attribute_direction(codes: Tensor, has_attribute: Tensor) -> Tensor:
    if has_attribute.all() or not has_attribute.any():
        raise ValueError("all images have the attribute, or none has: nothing to compare")
    return codes[has_attribute].mean(0) - codes.mean(0)


def edit_faces(model: FaceVAE, x: Tensor, direction: Tensor, strength: float = 1.0) -> Tensor:
    was_training = model.training
    model.eval()
    with torch.no_grad():
        mu, _ = model.encode(x)
        direction = direction.to(mu.device)
        images = model.decode(mu + strength * direction)
    model.train(was_training)
    return images
''',
    ("ps5_attributes", "normalised to length 1"): '''
def attribute_direction(codes: Tensor, has_attribute: Tensor) -> Tensor:
    if has_attribute.all() or not has_attribute.any():
        raise ValueError("all images have the attribute, or none has: nothing to compare")
    direction = codes[has_attribute].mean(0) - codes[~has_attribute].mean(0)
    return direction / direction.norm()


def edit_faces(model: FaceVAE, x: Tensor, direction: Tensor, strength: float = 1.0) -> Tensor:
    was_training = model.training
    model.eval()
    with torch.no_grad():
        mu, _ = model.encode(x)
        direction = direction.to(mu.device)
        images = model.decode(mu + strength * direction)
    model.train(was_training)
    return images
''',
    ("ps5_attributes", "both groups divided by the number of all images"): '''
def attribute_direction(codes: Tensor, has_attribute: Tensor) -> Tensor:
    if has_attribute.all() or not has_attribute.any():
        raise ValueError("all images have the attribute, or none has: nothing to compare")
    signs = torch.where(has_attribute, 1.0, -1.0)
    return (signs.unsqueeze(1) * codes).mean(0)


def edit_faces(model: FaceVAE, x: Tensor, direction: Tensor, strength: float = 1.0) -> Tensor:
    was_training = model.training
    model.eval()
    with torch.no_grad():
        mu, _ = model.encode(x)
        direction = direction.to(mu.device)
        images = model.decode(mu + strength * direction)
    model.train(was_training)
    return images
''',
    ("ps5_attributes", "none having it is refused, all having it is not"): '''
def attribute_direction(codes: Tensor, has_attribute: Tensor) -> Tensor:
    if not has_attribute.any():
        raise ValueError("all images have the attribute, or none has: nothing to compare")
    return codes[has_attribute].mean(0) - codes[~has_attribute].mean(0)


def edit_faces(model: FaceVAE, x: Tensor, direction: Tensor, strength: float = 1.0) -> Tensor:
    was_training = model.training
    model.eval()
    with torch.no_grad():
        mu, _ = model.encode(x)
        direction = direction.to(mu.device)
        images = model.decode(mu + strength * direction)
    model.train(was_training)
    return images
''',
    ("ps5_attributes", "the step starts from a draw, not from the mean"): '''
def attribute_direction(codes: Tensor, has_attribute: Tensor) -> Tensor:
    if has_attribute.all() or not has_attribute.any():
        raise ValueError("all images have the attribute, or none has: nothing to compare")
    return codes[has_attribute].mean(0) - codes[~has_attribute].mean(0)


def edit_faces(model: FaceVAE, x: Tensor, direction: Tensor, strength: float = 1.0) -> Tensor:
    was_training = model.training
    model.eval()
    with torch.no_grad():
        mu = draw_gaussian(*model.encode(x))
        direction = direction.to(mu.device)
        images = model.decode(mu + strength * direction)
    model.train(was_training)
    return images
''',
    ("ps5_attributes", "always left in training mode"): '''
def attribute_direction(codes: Tensor, has_attribute: Tensor) -> Tensor:
    if has_attribute.all() or not has_attribute.any():
        raise ValueError("all images have the attribute, or none has: nothing to compare")
    return codes[has_attribute].mean(0) - codes[~has_attribute].mean(0)


def edit_faces(model: FaceVAE, x: Tensor, direction: Tensor, strength: float = 1.0) -> Tensor:
    was_training = model.training
    model.eval()
    with torch.no_grad():
        mu, _ = model.encode(x)
        direction = direction.to(mu.device)
        images = model.decode(mu + strength * direction)
    model.train()
    return images
''',
}
RIGHT = {
    ("ps5_scale", "a table of 256 levels; hardtanh for the way back"): '''
def scale_images(images: Tensor) -> Tensor:
    if images.is_floating_point():
        return 2.0 * (images - 0.5)
    levels = (2 * torch.arange(256, device=images.device) - 255) / 255
    return levels[images.long()]


def unscale_images(x: Tensor) -> Tensor:
    return F.hardtanh(x) * 0.5 + 0.5
''',
    ("ps5_scale", "around middle grey; masks for what is outside"): '''
def scale_images(images: Tensor) -> Tensor:
    middle = 127.5 if images.dtype == torch.uint8 else 0.5
    pixels = images if images.is_floating_point() else images.to(torch.float32)
    return (pixels - middle) / middle


def unscale_images(x: Tensor) -> Tensor:
    pixels = 0.5 + x / 2
    pixels = torch.where(pixels < 0, torch.zeros_like(pixels), pixels)
    return torch.where(pixels > 1, torch.ones_like(pixels), pixels)
''',
    ("ps5_encoder", "a loop over a ModuleList; softplus as logaddexp; slices"): '''
class FaceEncoder(nn.Module):
    def __init__(self, latent_dim: int, channels: int = 3) -> None:
        super().__init__()
        maps = [channels, 32, 32, 64, 64, 256]
        self.needed = torch.Size([channels, FACE_SIZE, FACE_SIZE])
        self.latent_dim = latent_dim
        self.convolutions = nn.ModuleList()
        for i in range(5):
            stride, padding = (2, 1) if i < 4 else (1, 0)
            self.convolutions.append(nn.Conv2d(maps[i], maps[i + 1], 4, stride, padding))
        self.to_posterior = nn.Linear(256, 2 * latent_dim)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        if x.ndim != 4 or x.shape[1:] != self.needed:
            needed = ("B", *self.needed)
            raise ValueError(f"x has the shape {tuple(x.shape)}, and {needed} is needed")
        for convolution in self.convolutions:
            x = torch.relu(convolution(x))
        out = self.to_posterior(x[:, :, 0, 0])
        a = out[:, self.latent_dim :]
        return out[:, : self.latent_dim], torch.logaddexp(a, torch.zeros_like(a)) + VAR_FLOOR
''',
    ("ps5_encoder", "layers one by one; softplus as minus logsigmoid; split"): '''
class FaceEncoder(nn.Module):
    def __init__(self, latent_dim: int, channels: int = 3) -> None:
        super().__init__()
        half = {"kernel_size": (4, 4), "stride": (2, 2), "padding": (1, 1)}
        self.conv1 = nn.Conv2d(channels, 32, **half)
        self.conv2 = nn.Conv2d(32, 32, **half)
        self.conv3 = nn.Conv2d(32, 64, **half)
        self.conv4 = nn.Conv2d(64, 64, **half)
        self.conv5 = nn.Conv2d(64, 256, kernel_size=4, stride=1, padding=0)
        self.fc = nn.Linear(256, latent_dim * 2, bias=True)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        got, expected = list(x.shape), [self.conv1.in_channels, 64, 64]
        if got[1:] != expected:
            raise ValueError(f"the encoder wants [B] + {expected}, but x has the shape {got}")
        h = F.relu(self.conv1(x))
        h = F.relu(self.conv2(h))
        h = F.relu(self.conv3(h))
        h = F.relu(self.conv4(h))
        h = F.relu(self.conv5(h)).squeeze(3).squeeze(2)
        mu, a = torch.split(self.fc(h), self.fc.out_features // 2, dim=1)
        return mu, VAR_FLOOR - F.logsigmoid(-a)
''',
    ("ps5_decoder", "a ModuleList and a loop; tanh from a sigmoid of twice the argument"): '''
class FaceDecoder(nn.Module):
    def __init__(self, latent_dim: int, channels: int = 3) -> None:
        super().__init__()
        maps = (256, 64, 64, 32, 32, channels)
        self.start = nn.Linear(latent_dim, maps[0])
        self.ups = nn.ModuleList(
            nn.ConvTranspose2d(a, b, 4, stride=1 + (i > 0), padding=int(i > 0))
            for i, (a, b) in enumerate(zip(maps[:-1], maps[1:], strict=True))
        )

    def forward(self, z: Tensor) -> Tensor:
        h = self.start(z)[:, :, None, None]
        for up in self.ups:
            h = up(F.relu(h))
        return 2 * torch.sigmoid(2 * h) - 1
''',
    ("ps5_decoder", "one Sequential with Unflatten, made by a helper"): '''
class FaceDecoder(nn.Module):
    def __init__(self, latent_dim: int, channels: int = 3) -> None:
        super().__init__()

        def block(inputs, outputs, last=False, **sizes):
            up = nn.ConvTranspose2d(inputs, outputs, kernel_size=4, **sizes)
            return nn.Sequential(up, nn.Tanh() if last else nn.ReLU(inplace=True))

        double = {"stride": 2, "padding": 1}
        self.net = nn.Sequential(
            nn.Linear(latent_dim, 256), nn.Unflatten(1, (256, 1, 1)), nn.ReLU(),
            block(256, 64), block(64, 64, **double), block(64, 32, **double),
            block(32, 32, **double), block(32, channels, last=True, **double),
        )

    def forward(self, z: Tensor) -> Tensor:
        return self.net(z)
''',
    ("ps5_log_likelihood", "torch.distributions, the dimensions made one event"): '''
from torch.distributions import Independent


def gaussian_log_likelihood(x: Tensor, mean: Tensor, var: Tensor | float = 1.0) -> Tensor:
    std = torch.as_tensor(var, dtype=x.dtype, device=x.device).sqrt()
    pixels = Normal(mean, std.expand_as(mean))
    return Independent(pixels, x.ndim - 1).log_prob(x)
''',
    ("ps5_log_likelihood", "einsum with the precisions, images as rows"): '''
def gaussian_log_likelihood(x: Tensor, mean: Tensor, var: Tensor | float = 1.0) -> Tensor:
    rows = (x - mean).reshape(len(x), -1)
    variances = torch.as_tensor(var, dtype=x.dtype, device=x.device)
    variances = variances.expand_as(x).reshape(len(x), -1)
    cost = torch.einsum("bi,bi,bi->b", rows, rows, 1 / variances)
    volume = variances.log().sum(dim=1) + rows.shape[1] * math.log(2 * math.pi)
    return -(cost + volume) / 2
''',
    ("ps5_log_likelihood", "image by image, squares of standardised pixels"): '''
def gaussian_log_likelihood(x: Tensor, mean: Tensor, var: Tensor | float = 1.0) -> Tensor:
    std = torch.as_tensor(var, dtype=x.dtype, device=x.device).sqrt().broadcast_to(x.shape)
    result = []
    for image, centre, s in zip(x, mean, std, strict=True):
        standard = (image - centre) / s
        constant = torch.log(s * math.sqrt(2 * math.pi))
        result.append(-(constant + 0.5 * standard.square()).sum())
    return torch.stack(result)
''',
    ("ps5_sample", "an empty tensor filled in place, then addcmul"): '''
def draw_gaussian(
    mean: Tensor, var: Tensor | float, generator: torch.Generator | None = None
) -> Tensor:
    with torch.no_grad():
        noise = torch.empty_like(mean, requires_grad=False).normal_(generator=generator)
    spread = torch.as_tensor(var, dtype=mean.dtype, device=mean.device) ** 0.5
    return torch.addcmul(mean, noise, spread)
''',
    ("ps5_sample", "standard normals by torch.normal, scaled afterwards"): '''
def draw_gaussian(
    mean: Tensor, var: Tensor | float, generator: torch.Generator | None = None
) -> Tensor:
    zeros = torch.zeros(mean.shape, device=mean.device, dtype=mean.dtype)
    standard = torch.normal(zeros, torch.ones_like(zeros), generator=generator)
    if not isinstance(var, Tensor):
        return mean + math.sqrt(var) * standard
    return standard * torch.sqrt(var.to(mean.device, mean.dtype)) + mean
''',
    ("ps5_kl", "torch.distributions"): '''
def gaussian_kl_from_var(mu: Tensor, var: Tensor) -> Tensor:
    prior = Normal(torch.zeros_like(mu), torch.ones_like(mu))
    return kl_divergence(Normal(mu, torch.sqrt(var)), prior).sum(dim=-1)
''',
    ("ps5_kl", "a loop over the dimensions"): '''
def gaussian_kl_from_var(mu: Tensor, var: Tensor) -> Tensor:
    total = torch.zeros(mu.shape[:-1], dtype=mu.dtype, device=mu.device)
    for m, v in zip(mu.unbind(dim=-1), var.unbind(dim=-1), strict=True):
        total = total + ((v - 1) + m * m - v.log()) / 2
    return total
''',
    ("ps5_kl", "in standard deviations, summed by einsum"): '''
def gaussian_kl_from_var(mu: Tensor, var: Tensor) -> Tensor:
    std = var.sqrt()
    each = (std * std - 1) / 2 - torch.log(std) + mu * mu / 2
    return torch.einsum("...k->...", each)
''',
    ("ps5_model", "a context manager for looking; noise by hand; another order"): '''
from contextlib import contextmanager


class FaceVAE(nn.Module):
    def __init__(self, latent_dim: int = 100, channels: int = 3, var_x: float = 0.1) -> None:
        super().__init__()
        self.latent_dim, self.channels, self.var_x = latent_dim, channels, var_x
        self.halves = nn.ModuleList([c(latent_dim, channels) for c in (FaceEncoder, FaceDecoder)])

    @contextmanager
    def looking(self):
        before = self.training
        try:
            with torch.no_grad():
                yield self.eval()
        finally:
            self.train(before)

    def noise(self, like: Tensor, shape, generator) -> Tensor:
        empty = torch.empty(tuple(shape), dtype=like.dtype, device=like.device)
        return empty.normal_(generator=generator)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.halves[0](x)

    def decode(self, z: Tensor) -> Tensor:
        return self.halves[1](z)

    def forward(
        self, x: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        mu, var = self.encode(x)
        z = mu + torch.sqrt(var) * self.noise(mu, mu.shape, generator)
        return self.decode(z), mu, var

    def reconstruct(self, x: Tensor) -> Tensor:
        with self.looking():
            return self.decode(self.encode(x)[0])

    def sample(
        self, num_samples: int, generator: torch.Generator | None = None, noisy: bool = False
    ) -> Tensor:
        with self.looking():
            weights = next(self.parameters())
            x = self.decode(self.noise(weights, (num_samples, self.latent_dim), generator))
            if noisy:
                x = x + math.sqrt(self.var_x) * self.noise(x, x.shape, generator)
        return x
''',
    ("ps5_model", "no_grad as a decorator; codes one row after the other"): '''
class FaceVAE(nn.Module):
    def __init__(self, latent_dim: int = 100, channels: int = 3, var_x: float = 0.1) -> None:
        super().__init__()
        for name, value in (("latent_dim", latent_dim), ("channels", channels), ("var_x", var_x)):
            setattr(self, name, value)
        self.q, self.p = FaceEncoder(latent_dim, channels), FaceDecoder(latent_dim, channels)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.q(x)

    def decode(self, z: Tensor) -> Tensor:
        return self.p(z)

    def forward(
        self, x: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        posterior = self.encode(x)
        return self.decode(draw_gaussian(*posterior, generator)), *posterior

    def _decode_calmly(self, codes):
        mode = self.training
        self.train(False)
        try:
            return self.decode(codes() if callable(codes) else codes)
        finally:
            self.train(mode)

    @torch.no_grad()
    def reconstruct(self, x: Tensor) -> Tensor:
        return self._decode_calmly(lambda: self.encode(x)[0])

    @torch.no_grad()
    def sample(
        self, num_samples: int, generator: torch.Generator | None = None, noisy: bool = False
    ) -> Tensor:
        origin = next(self.p.parameters()).new_zeros(self.latent_dim)
        z = torch.stack([draw_gaussian(origin, 1.0, generator) for _ in range(num_samples)])
        mean = self._decode_calmly(z)
        return draw_gaussian(mean, self.var_x, generator) if noisy else mean
''',
    ("ps5_checkpoint", "into memory, then into a named temporary file beside"): '''
def _built(model) -> dict:
    return dict(latent_dim=model.latent_dim, channels=model.channels, var_x=model.var_x)


def save_checkpoint(
    path: str | Path,
    model: FaceVAE,
    optimizer: Optimizer,
    epoch: int,
    history: dict,
    generator: torch.Generator | None = None,
) -> None:
    target = os.path.abspath(path)
    folder = os.path.dirname(target)
    os.makedirs(folder, exist_ok=True)
    if generator is None:
        random = torch.get_rng_state()
    else:
        random = generator.get_state()
    memory = io.BytesIO()
    run = [_built(model), model.state_dict(), optimizer.state_dict(), epoch, history, random]
    torch.save(run, memory)
    with tempfile.NamedTemporaryFile(dir=folder, suffix=".part", delete=False) as file:
        file.write(memory.getvalue())
    try:
        os.replace(file.name, target)
    except OSError:
        os.remove(file.name)
        raise


def restore_checkpoint(
    path: str | Path,
    model: FaceVAE,
    optimizer: Optimizer,
    generator: torch.Generator | None = None,
) -> tuple[int, dict]:
    built, weights, adam, epoch, history, random = torch.load(
        path, map_location=torch.device("cpu"), weights_only=True
    )
    here = _built(model)
    wrong = [f"{k}: file {built[k]}, model {here[k]}" for k in built if built[k] != here[k]]
    if wrong:
        raise ValueError(f"{path} does not fit this model. " + "; ".join(wrong))
    model.load_state_dict(weights, strict=True)
    optimizer.load_state_dict(adam)
    if generator is None:
        torch.set_rng_state(random)
    else:
        generator.set_state(random)
    return epoch, history


def restore_face_vae(path: str | Path) -> FaceVAE:
    built, weights, *_ = torch.load(path, map_location="cpu", weights_only=True)
    model = FaceVAE(built["latent_dim"], built["channels"], built["var_x"])
    model.load_state_dict(weights)
    return model
''',
    ("ps5_checkpoint", "pathlib all the way; tidied up after a failure"): '''
def save_checkpoint(
    path: str | Path,
    model: FaceVAE,
    optimizer: Optimizer,
    epoch: int,
    history: dict,
    generator: torch.Generator | None = None,
) -> None:
    path = Path(path)
    path.parent.mkdir(exist_ok=True, parents=True)
    beside = path.parent / f".{path.name}.{os.getpid()}"
    contents = dict(
        k=model.latent_dim, c=model.channels, v=model.var_x, weights=model.state_dict(),
        adam=optimizer.state_dict(), done=epoch, history=history,
        dice=(generator or torch.default_generator).get_state(),
    )
    try:
        with beside.open("wb") as file:
            torch.save(contents, file)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def _read(path: str | Path) -> dict:
    return torch.load(str(path), map_location=lambda storage, location: storage)


def restore_checkpoint(
    path: str | Path,
    model: FaceVAE,
    optimizer: Optimizer,
    generator: torch.Generator | None = None,
) -> tuple[int, dict]:
    saved = _read(path)
    there = (saved["k"], saved["c"], saved["v"])
    here = (model.latent_dim, model.channels, model.var_x)
    if there != here:
        names = "(latent_dim, channels, var_x)"
        raise ValueError(f"{names} are {there} in the file and {here} in the model")
    model.load_state_dict(saved["weights"])
    optimizer.load_state_dict(saved["adam"])
    (generator or torch.default_generator).set_state(saved["dice"])
    return saved["done"], saved["history"]


def restore_face_vae(path: str | Path) -> FaceVAE:
    saved = _read(path)
    model = FaceVAE(latent_dim=saved["k"], channels=saved["c"], var_x=saved["v"])
    model.load_state_dict(saved["weights"])
    return model
''',
    ("ps5_interpolate", "a matrix of weights times the two codes; decorator and finally"): '''
@torch.no_grad()
def interpolate_faces(
    model: FaceVAE, x_start: Tensor, x_end: Tensor, num_frames: int = 11
) -> Tensor:
    mode = model.training
    try:
        codes, _ = model.eval().encode(torch.stack((x_start, x_end)))
        last = num_frames - 1
        weights = [[(last - i) / last, i / last] for i in range(num_frames)]
        weights = torch.tensor(weights, dtype=codes.dtype, device=codes.device)
        return model.decode(torch.einsum("fe,ek->fk", weights, codes))
    finally:
        model.train(mode)
''',
    ("ps5_interpolate", "lerp, frame by frame, the images encoded one by one"): '''
def interpolate_faces(
    model: FaceVAE, x_start: Tensor, x_end: Tensor, num_frames: int = 11
) -> Tensor:
    found = model.training
    model.train(False)
    with torch.no_grad():
        a, _ = model.encode(x_start[None])
        b, _ = model.encode(x_end[None])
        out = torch.empty(num_frames, *x_start.shape, dtype=a.dtype, device=a.device)
        for number in range(num_frames):
            code = torch.lerp(a, b, number / (num_frames - 1))
            out[number] = model.decode(code).squeeze(0)
    model.train(found)
    return out
''',
    ("ps5_attributes", "the slope of a regression; a loop over images with try and finally"): '''
def attribute_direction(codes: Tensor, has_attribute: Tensor) -> Tensor:
    if len(torch.unique(has_attribute)) != 2:
        raise ValueError("images with and images without the attribute are both needed")
    flags = has_attribute.to(codes.dtype)
    flags = flags - flags.mean()
    return flags @ codes / flags.dot(flags)


@torch.no_grad()
def edit_faces(model: FaceVAE, x: Tensor, direction: Tensor, strength: float = 1.0) -> Tensor:
    found, step = model.training, direction.to(x.device) * strength
    try:
        model.eval()
        edited = []
        for image in x.split(1):
            mean = model.encode(image)[0]
            edited.append(model.decode(mean + step))
        return torch.cat(edited)
    finally:
        model.train(found)
''',
    ("ps5_attributes", "signed weights and einsum; torch.add with alpha"): '''
def attribute_direction(codes: Tensor, has_attribute: Tensor) -> Tensor:
    num_with = int(torch.count_nonzero(has_attribute))
    num_without = len(has_attribute) - num_with
    if 0 in (num_with, num_without):
        raise ValueError(f"{num_with} images with the attribute and {num_without} without it")
    weights = torch.full((len(codes),), -1 / num_without, dtype=codes.dtype, device=codes.device)
    weights[has_attribute] = 1 / num_with
    return torch.einsum("n,nk->k", weights, codes)


def edit_faces(model: FaceVAE, x: Tensor, direction: Tensor, strength: float = 1.0) -> Tensor:
    mode, gradients = model.training, torch.is_grad_enabled()
    torch.set_grad_enabled(False)
    model.eval()
    try:
        z = model.encode(x)[0]
        z = torch.add(z, direction.to(z), alpha=strength)
        return model.decode(z)
    finally:
        model.train(mode)
        torch.set_grad_enabled(gradients)
''',
}

ARGUABLE = {
    (
        "ps5_encoder",
        "the floor by clamp, not added: softplus of -14",
    ): "No variance is ever below the floor, and none is off by more than it.",
    (
        "ps5_encoder",
        "the message does not say which shape came",
    ): "The refusal is right. How well its message is worded is for people to read.",
    (
        "ps5_model",
        "without gradients, but never in evaluation mode",
    ): "No layer of these networks knows of modes, so the two modes give the same.",
    (
        "ps5_model",
        "var_x is a buffer: load_state_dict of another model overwrites it",
    ): "The docstring says how the model is built, and not what its state_dict holds.",
    (
        "ps5_checkpoint",
        "the message does not say what differs",
    ): "The refusal is right. How well its message is worded is for people to read.",
}
