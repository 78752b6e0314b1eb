"""Answers to ps1, written by someone who saw only the student's notebook."""

WRONG = {
    (
        "ps1_conv_size",
        "the padding's strides are divided on their own, so two rests are dropped",
    ): '''
def conv_output_size(size: int, kernel: int, stride: int, padding: int = 0) -> int:
    steps = (size - kernel) // stride
    extra = 2 * padding // stride
    return steps + extra + 1


def conv_transpose_output_size(size: int, kernel: int, stride: int, padding: int = 0) -> int:
    return (size - 1) * stride + kernel - 2 * padding
''',
    ("ps1_conv_size", "stride 1 with padding is taken to keep the size"): '''
def conv_output_size(size: int, kernel: int, stride: int, padding: int = 0) -> int:
    if stride == 1 and padding > 0:
        return size  # "same" padding
    return (size + 2 * padding - kernel) // stride + 1


def conv_transpose_output_size(size: int, kernel: int, stride: int, padding: int = 0) -> int:
    return (size - 1) * stride + kernel - 2 * padding
''',
    ("ps1_conv_size", "the guard for too large a kernel forgets the padding"): '''
def conv_output_size(size: int, kernel: int, stride: int, padding: int = 0) -> int:
    if kernel > size:
        return 0  # the kernel does not fit at all
    return (size + 2 * padding - kernel) // stride + 1


def conv_transpose_output_size(size: int, kernel: int, stride: int, padding: int = 0) -> int:
    return (size - 1) * stride + kernel - 2 * padding
''',
    ("ps1_conv_size", "any padding is taken for the one that keeps the size"): '''
def conv_output_size(size: int, kernel: int, stride: int, padding: int = 0) -> int:
    if padding:
        padding = (kernel - 1) // 2
    return (size + 2 * padding - kernel) // stride + 1


def conv_transpose_output_size(size: int, kernel: int, stride: int, padding: int = 0) -> int:
    return (size - 1) * stride + kernel - 2 * padding
''',
    ("ps1_conv_size", "a stride is not allowed to skip pixels"): '''
def conv_output_size(size: int, kernel: int, stride: int, padding: int = 0) -> int:
    step = min(stride, kernel)
    return (size + 2 * padding - kernel) // step + 1


def conv_transpose_output_size(size: int, kernel: int, stride: int, padding: int = 0) -> int:
    return (size - 1) * stride + kernel - 2 * padding
''',
    ("ps1_conv_size", "transposed: the last copy is filled up to a whole stride"): '''
def conv_output_size(size: int, kernel: int, stride: int, padding: int = 0) -> int:
    return (size + 2 * padding - kernel) // stride + 1


def conv_transpose_output_size(size: int, kernel: int, stride: int, padding: int = 0) -> int:
    return (size - 1) * stride + max(kernel, stride) - 2 * padding
''',
    ("ps1_conv_size", "transposed: gaps between copies are not counted, only overlaps"): '''
def conv_output_size(size: int, kernel: int, stride: int, padding: int = 0) -> int:
    return (size + 2 * padding - kernel) // stride + 1


def conv_transpose_output_size(size: int, kernel: int, stride: int, padding: int = 0) -> int:
    overlap = max(kernel - stride, 0)
    covered = size * kernel - (size - 1) * overlap
    return covered - 2 * padding
''',
    ("ps1_conv_size", "padding counted on one side only, in both"): '''
def conv_output_size(size: int, kernel: int, stride: int, padding: int = 0) -> int:
    return (size + padding - kernel) // stride + 1


def conv_transpose_output_size(size: int, kernel: int, stride: int, padding: int = 0) -> int:
    return (size - 1) * stride + kernel - padding
''',
    ("ps1_conv_size", "steps that do not fit are rounded up"): '''
import math


def conv_output_size(size: int, kernel: int, stride: int, padding: int = 0) -> int:
    return math.ceil((size + 2 * padding - kernel) / stride) + 1


def conv_transpose_output_size(size: int, kernel: int, stride: int, padding: int = 0) -> int:
    return (size - 1) * stride + kernel - 2 * padding
''',
    ("ps1_conv_size", "transposed: the largest size that the convolution shrinks to this one"): '''
def conv_output_size(size: int, kernel: int, stride: int, padding: int = 0) -> int:
    return (size + 2 * padding - kernel) // stride + 1


def conv_transpose_output_size(size: int, kernel: int, stride: int, padding: int = 0) -> int:
    candidates = range(1, size * stride + kernel + stride)
    return max(n for n in candidates if conv_output_size(n, kernel, stride, padding) == size)
''',
    ("ps1_conv_size", "the kernel may not touch the right end"): '''
def conv_output_size(size: int, kernel: int, stride: int, padding: int = 0) -> int:
    padded = size + 2 * padding
    count, start = 0, 0
    while start + kernel < padded:
        count += 1
        start += stride
    return count


def conv_transpose_output_size(size: int, kernel: int, stride: int, padding: int = 0) -> int:
    return (size - 1) * stride + kernel - 2 * padding
''',
    ("ps1_encoder", "LeakyReLU with PyTorch's slope of 0.01"): '''
class Encoder(nn.Module):
    def __init__(self, num_outputs: int = 64) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(1, 32, 4, stride=2, padding=1),
            nn.LeakyReLU(),
            nn.Conv2d(32, 64, 4, stride=2, padding=1),
            nn.BatchNorm2d(64),
            nn.LeakyReLU(),
            nn.Conv2d(64, 128, 3, stride=2),
            nn.BatchNorm2d(128),
            nn.LeakyReLU(),
            nn.Conv2d(128, 256, 3, stride=2),
            nn.BatchNorm2d(256),
            nn.LeakyReLU(),
            nn.Flatten(),
            nn.Linear(256, num_outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)
''',
    ("ps1_encoder", "ReLU in place of LeakyReLU"): '''
class Encoder(nn.Module):
    def __init__(self, num_outputs: int = 64) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(1, 32, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 64, 4, stride=2, padding=1),
            nn.BatchNorm2d(64),
            nn.ReLU(),
            nn.Conv2d(64, 128, 3, stride=2),
            nn.BatchNorm2d(128),
            nn.ReLU(),
            nn.Conv2d(128, 256, 3, stride=2),
            nn.BatchNorm2d(256),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(256, num_outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)
''',
    ("ps1_encoder", "no activation after the last convolution"): '''
class Encoder(nn.Module):
    def __init__(self, num_outputs: int = 64) -> None:
        super().__init__()
        self.net = nn.Sequential(
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
            nn.Flatten(),
            nn.Linear(256, num_outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)
''',
    ("ps1_encoder", "BatchNorm after LeakyReLU in place of before it"): '''
class Encoder(nn.Module):
    def __init__(self, num_outputs: int = 64) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(1, 32, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(32, 64, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.BatchNorm2d(64),
            nn.Conv2d(64, 128, 3, stride=2),
            nn.LeakyReLU(0.2),
            nn.BatchNorm2d(128),
            nn.Conv2d(128, 256, 3, stride=2),
            nn.LeakyReLU(0.2),
            nn.BatchNorm2d(256),
            nn.Flatten(),
            nn.Linear(256, num_outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)
''',
    ("ps1_encoder", "maps of 4x4 and 2x2, and a mean over places at the end"): '''
class Encoder(nn.Module):
    def __init__(self, num_outputs: int = 64) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(1, 32, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(32, 64, 4, stride=2, padding=1),
            nn.BatchNorm2d(64),
            nn.LeakyReLU(0.2),
            nn.Conv2d(64, 128, 3, stride=2, padding=1),
            nn.BatchNorm2d(128),
            nn.LeakyReLU(0.2),
            nn.Conv2d(128, 256, 3, stride=2, padding=1),
            nn.BatchNorm2d(256),
            nn.LeakyReLU(0.2),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(256, num_outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)
''',
    ("ps1_encoder", "a dropout that the table does not have"): '''
class Encoder(nn.Module):
    def __init__(self, num_outputs: int = 64) -> None:
        super().__init__()
        self.net = nn.Sequential(
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
            nn.Flatten(),
            nn.Dropout(0.2),
            nn.Linear(256, num_outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)
''',
    ("ps1_encoder", "0.8 is meant as a momentum, and is BatchNorm's eps"): '''
class Encoder(nn.Module):
    def __init__(self, num_outputs: int = 64) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(1, 32, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(32, 64, 4, stride=2, padding=1),
            nn.BatchNorm2d(64, 0.8),
            nn.LeakyReLU(0.2),
            nn.Conv2d(64, 128, 3, stride=2),
            nn.BatchNorm2d(128, 0.8),
            nn.LeakyReLU(0.2),
            nn.Conv2d(128, 256, 3, stride=2),
            nn.BatchNorm2d(256, 0.8),
            nn.LeakyReLU(0.2),
            nn.Flatten(),
            nn.Linear(256, num_outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)
''',
    ("ps1_encoder", "GroupNorm in place of BatchNorm"): '''
class Encoder(nn.Module):
    def __init__(self, num_outputs: int = 64) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(1, 32, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(32, 64, 4, stride=2, padding=1),
            nn.GroupNorm(8, 64),
            nn.LeakyReLU(0.2),
            nn.Conv2d(64, 128, 3, stride=2),
            nn.GroupNorm(8, 128),
            nn.LeakyReLU(0.2),
            nn.Conv2d(128, 256, 3, stride=2),
            nn.GroupNorm(8, 256),
            nn.LeakyReLU(0.2),
            nn.Flatten(),
            nn.Linear(256, num_outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)
''',
    ("ps1_encoder", "the code is detached, so no convolution ever learns"): '''
class Encoder(nn.Module):
    def __init__(self, num_outputs: int = 64) -> None:
        super().__init__()
        self.net = nn.Sequential(
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
            nn.Flatten(),
            nn.Linear(256, num_outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x).detach()
''',
    ("ps1_encoder", "one image in training mode switches the network to evaluation for good"): '''
class Encoder(nn.Module):
    def __init__(self, num_outputs: int = 64) -> None:
        super().__init__()
        self.net = nn.Sequential(
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
            nn.Flatten(),
            nn.Linear(256, num_outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        if len(x) == 1:
            self.eval()  # BatchNorm cannot work with a single image
        return self.net(x)
''',
    ("ps1_encoder", "the images are standardised, and in place"): '''
class Encoder(nn.Module):
    def __init__(self, num_outputs: int = 64) -> None:
        super().__init__()
        self.net = nn.Sequential(
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
            nn.Flatten(),
            nn.Linear(256, num_outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        x -= 0.1307  # mean and standard deviation of MNIST
        x /= 0.3081
        return self.net(x)
''',
    ("ps1_encoder", "squeeze loses the batch dimension of a single image"): '''
class Encoder(nn.Module):
    def __init__(self, num_outputs: int = 64) -> None:
        super().__init__()
        self.net = nn.Sequential(
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

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(self.net(x).squeeze())
''',
    ("ps1_encoder", "BatchNorm after the first convolution too"): '''
class Encoder(nn.Module):
    def __init__(self, num_outputs: int = 64) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(1, 32, 4, stride=2, padding=1),
            nn.BatchNorm2d(32),
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
            nn.Flatten(),
            nn.Linear(256, num_outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)
''',
    ("ps1_encoder", "convolutions without a bias where BatchNorm follows"): '''
class Encoder(nn.Module):
    def __init__(self, num_outputs: int = 64) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(1, 32, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(32, 64, 4, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(64),
            nn.LeakyReLU(0.2),
            nn.Conv2d(64, 128, 3, stride=2, bias=False),
            nn.BatchNorm2d(128),
            nn.LeakyReLU(0.2),
            nn.Conv2d(128, 256, 3, stride=2, bias=False),
            nn.BatchNorm2d(256),
            nn.LeakyReLU(0.2),
            nn.Flatten(),
            nn.Linear(256, num_outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)
''',
    ("ps1_decoder", "LeakyReLU with PyTorch's slope of 0.01"): '''
class Decoder(nn.Module):
    def __init__(self, latent_dim: int = 64) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(latent_dim, 256),
            nn.Unflatten(1, (256, 1, 1)),
            nn.BatchNorm2d(256),
            nn.LeakyReLU(inplace=True),
            nn.ConvTranspose2d(256, 128, 3, stride=2),
            nn.BatchNorm2d(128),
            nn.LeakyReLU(inplace=True),
            nn.ConvTranspose2d(128, 64, 3, stride=2),
            nn.BatchNorm2d(64),
            nn.LeakyReLU(inplace=True),
            nn.ConvTranspose2d(64, 32, 4, stride=2, padding=1),
            nn.LeakyReLU(inplace=True),
            nn.ConvTranspose2d(32, 1, 4, stride=2, padding=1),
            nn.Sigmoid(),
        )

    def forward(self, z: Tensor) -> Tensor:
        return self.net(z)
''',
    ("ps1_decoder", "ReLU in place of LeakyReLU, as in the DCGAN tutorial"): '''
class Decoder(nn.Module):
    def __init__(self, latent_dim: int = 64) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(latent_dim, 256),
            nn.Unflatten(1, (256, 1, 1)),
            nn.BatchNorm2d(256),
            nn.ReLU(True),
            nn.ConvTranspose2d(256, 128, 3, stride=2),
            nn.BatchNorm2d(128),
            nn.ReLU(True),
            nn.ConvTranspose2d(128, 64, 3, stride=2),
            nn.BatchNorm2d(64),
            nn.ReLU(True),
            nn.ConvTranspose2d(64, 32, 4, stride=2, padding=1),
            nn.ReLU(True),
            nn.ConvTranspose2d(32, 1, 4, stride=2, padding=1),
            nn.Sigmoid(),
        )

    def forward(self, z: Tensor) -> Tensor:
        return self.net(z)
''',
    ("ps1_decoder", "no activation after the linear layer's BatchNorm"): '''
class Decoder(nn.Module):
    def __init__(self, latent_dim: int = 64) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(latent_dim, 256),
            nn.Unflatten(1, (256, 1, 1)),
            nn.BatchNorm2d(256),
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

    def forward(self, z: Tensor) -> Tensor:
        return self.net(z)
''',
    ("ps1_decoder", "no activation between the last two layers"): '''
class Decoder(nn.Module):
    def __init__(self, latent_dim: int = 64) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(latent_dim, 256),
            nn.Unflatten(1, (256, 1, 1)),
            nn.BatchNorm2d(256),
            nn.LeakyReLU(0.2),
            nn.ConvTranspose2d(256, 128, 3, stride=2),
            nn.BatchNorm2d(128),
            nn.LeakyReLU(0.2),
            nn.ConvTranspose2d(128, 64, 3, stride=2),
            nn.BatchNorm2d(64),
            nn.LeakyReLU(0.2),
            nn.ConvTranspose2d(64, 32, 4, stride=2, padding=1),
            nn.ConvTranspose2d(32, 1, 4, stride=2, padding=1),
            nn.Sigmoid(),
        )

    def forward(self, z: Tensor) -> Tensor:
        return self.net(z)
''',
    ("ps1_decoder", "BatchNorm after LeakyReLU in place of before it"): '''
class Decoder(nn.Module):
    def __init__(self, latent_dim: int = 64) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(latent_dim, 256),
            nn.Unflatten(1, (256, 1, 1)),
            nn.LeakyReLU(0.2),
            nn.BatchNorm2d(256),
            nn.ConvTranspose2d(256, 128, 3, stride=2),
            nn.LeakyReLU(0.2),
            nn.BatchNorm2d(128),
            nn.ConvTranspose2d(128, 64, 3, stride=2),
            nn.LeakyReLU(0.2),
            nn.BatchNorm2d(64),
            nn.ConvTranspose2d(64, 32, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.ConvTranspose2d(32, 1, 4, stride=2, padding=1),
            nn.Sigmoid(),
        )

    def forward(self, z: Tensor) -> Tensor:
        return self.net(z)
''',
    ("ps1_decoder", "a tanh moved to [0, 1] in place of the sigmoid: twice as steep"): '''
class Decoder(nn.Module):
    def __init__(self, latent_dim: int = 64) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(latent_dim, 256),
            nn.Unflatten(1, (256, 1, 1)),
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
        )

    def forward(self, z: Tensor) -> Tensor:
        return (torch.tanh(self.net(z)) + 1) / 2
''',
    ("ps1_decoder", "enlarged maps and ordinary convolutions, not transposed ones"): '''
class Decoder(nn.Module):
    def __init__(self, latent_dim: int = 64) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(latent_dim, 256),
            nn.Unflatten(1, (256, 1, 1)),
            nn.BatchNorm2d(256),
            nn.LeakyReLU(0.2),
            nn.Upsample(size=3),
            nn.Conv2d(256, 128, 3, padding=1),
            nn.BatchNorm2d(128),
            nn.LeakyReLU(0.2),
            nn.Upsample(size=7),
            nn.Conv2d(128, 64, 3, padding=1),
            nn.BatchNorm2d(64),
            nn.LeakyReLU(0.2),
            nn.Upsample(scale_factor=2),
            nn.Conv2d(64, 32, 4, padding="same"),
            nn.LeakyReLU(0.2),
            nn.Upsample(scale_factor=2),
            nn.Conv2d(32, 1, 4, padding="same"),
            nn.Sigmoid(),
        )

    def forward(self, z: Tensor) -> Tensor:
        return self.net(z)
''',
    ("ps1_decoder", "no padding, and the surplus is cut off right and below only"): '''
class Decoder(nn.Module):
    def __init__(self, latent_dim: int = 64) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(latent_dim, 256),
            nn.Unflatten(1, (256, 1, 1)),
            nn.BatchNorm2d(256),
            nn.LeakyReLU(0.2),
            nn.ConvTranspose2d(256, 128, 3, stride=2),
            nn.BatchNorm2d(128),
            nn.LeakyReLU(0.2),
            nn.ConvTranspose2d(128, 64, 3, stride=2),
            nn.BatchNorm2d(64),
            nn.LeakyReLU(0.2),
        )
        self.third = nn.ConvTranspose2d(64, 32, 4, stride=2)
        self.fourth = nn.ConvTranspose2d(32, 1, 4, stride=2)

    def forward(self, z: Tensor) -> Tensor:
        h = F.leaky_relu(self.third(self.net(z))[:, :, :14, :14], 0.2)
        return torch.sigmoid(self.fourth(h)[:, :, :28, :28])
''',
    ("ps1_decoder", "no padding, and the image of 34 pixels is shrunk to 28"): '''
class Decoder(nn.Module):
    def __init__(self, latent_dim: int = 64) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(latent_dim, 256),
            nn.Unflatten(1, (256, 1, 1)),
            nn.BatchNorm2d(256),
            nn.LeakyReLU(0.2),
            nn.ConvTranspose2d(256, 128, 3, stride=2),
            nn.BatchNorm2d(128),
            nn.LeakyReLU(0.2),
            nn.ConvTranspose2d(128, 64, 3, stride=2),
            nn.BatchNorm2d(64),
            nn.LeakyReLU(0.2),
            nn.ConvTranspose2d(64, 32, 4, stride=2),
            nn.LeakyReLU(0.2),
            nn.ConvTranspose2d(32, 1, 4, stride=2),
            nn.Upsample(size=28, mode="bilinear"),
            nn.Sigmoid(),
        )

    def forward(self, z: Tensor) -> Tensor:
        return self.net(z)
''',
    ("ps1_decoder", "the codes are detached, so the encoder never learns"): '''
class Decoder(nn.Module):
    def __init__(self, latent_dim: int = 64) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(latent_dim, 256),
            nn.Unflatten(1, (256, 1, 1)),
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

    def forward(self, z: Tensor) -> Tensor:
        return self.net(z.detach())
''',
    ("ps1_decoder", "the reshape deals one code's features out to the whole batch"): '''
class Decoder(nn.Module):
    def __init__(self, latent_dim: int = 64) -> None:
        super().__init__()
        self.net = nn.Sequential(
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
        self.linear = nn.Linear(latent_dim, 256)

    def forward(self, z: Tensor) -> Tensor:
        h = self.linear(z).view(256, -1, 1, 1).transpose(0, 1)
        return self.net(h)
''',
    ("ps1_decoder", "a dropout that the table does not have"): '''
class Decoder(nn.Module):
    def __init__(self, latent_dim: int = 64) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(latent_dim, 256),
            nn.Unflatten(1, (256, 1, 1)),
            nn.BatchNorm2d(256),
            nn.LeakyReLU(0.2),
            nn.ConvTranspose2d(256, 128, 3, stride=2),
            nn.BatchNorm2d(128),
            nn.LeakyReLU(0.2),
            nn.ConvTranspose2d(128, 64, 3, stride=2),
            nn.BatchNorm2d(64),
            nn.LeakyReLU(0.2),
            nn.Dropout2d(0.1),
            nn.ConvTranspose2d(64, 32, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.ConvTranspose2d(32, 1, 4, stride=2, padding=1),
            nn.Sigmoid(),
        )

    def forward(self, z: Tensor) -> Tensor:
        return self.net(z)
''',
    ("ps1_decoder", "BatchNorm1d before the reshape, where one of maps is asked for"): '''
class Decoder(nn.Module):
    def __init__(self, latent_dim: int = 64) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(latent_dim, 256),
            nn.BatchNorm1d(256),
            nn.LeakyReLU(0.2),
            nn.Unflatten(1, (256, 1, 1)),
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

    def forward(self, z: Tensor) -> Tensor:
        return self.net(z)
''',
    ("ps1_decoder", "clamp in place of the sigmoid"): '''
class Decoder(nn.Module):
    def __init__(self, latent_dim: int = 64) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(latent_dim, 256),
            nn.Unflatten(1, (256, 1, 1)),
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
        )

    def forward(self, z: Tensor) -> Tensor:
        return self.net(z).clamp(0, 1)
''',
    ("ps1_decoder", "squeeze loses dimensions of size 1"): '''
class Decoder(nn.Module):
    def __init__(self, latent_dim: int = 64) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(latent_dim, 256),
            nn.Unflatten(1, (256, 1, 1)),
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

    def forward(self, z: Tensor) -> Tensor:
        return self.net(z).squeeze().unsqueeze(1)
''',
    ("ps1_decoder", "a BatchNorm after the third transposed convolution too"): '''
class Decoder(nn.Module):
    def __init__(self, latent_dim: int = 64) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(latent_dim, 256),
            nn.Unflatten(1, (256, 1, 1)),
            nn.BatchNorm2d(256),
            nn.LeakyReLU(0.2),
            nn.ConvTranspose2d(256, 128, 3, stride=2),
            nn.BatchNorm2d(128),
            nn.LeakyReLU(0.2),
            nn.ConvTranspose2d(128, 64, 3, stride=2),
            nn.BatchNorm2d(64),
            nn.LeakyReLU(0.2),
            nn.ConvTranspose2d(64, 32, 4, stride=2, padding=1),
            nn.BatchNorm2d(32),
            nn.LeakyReLU(0.2),
            nn.ConvTranspose2d(32, 1, 4, stride=2, padding=1),
            nn.Sigmoid(),
        )

    def forward(self, z: Tensor) -> Tensor:
        return self.net(z)
''',
    ("ps1_autoencoder", "only the flag of the whole comes back, the halves stay in evaluation"): '''
class AutoEncoder(nn.Module):
    def __init__(self, latent_dim: int = 64) -> None:
        super().__init__()
        self.encoder = Encoder(latent_dim)
        self.decoder = Decoder(latent_dim)

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x)

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z)

    def forward(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x))

    def reconstruct(self, x: Tensor) -> Tensor:
        was_training = self.training
        self.eval()
        with torch.no_grad():
            x_hat = self(x)
        self.training = was_training
        return x_hat
''',
    ("ps1_autoencoder", "the halves go to evaluation and never come back"): '''
class AutoEncoder(nn.Module):
    def __init__(self, latent_dim: int = 64) -> None:
        super().__init__()
        self.encoder = Encoder(latent_dim)
        self.decoder = Decoder(latent_dim)

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x)

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z)

    def forward(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x))

    def reconstruct(self, x: Tensor) -> Tensor:
        self.encoder.eval()
        self.decoder.eval()
        with torch.no_grad():
            return self.forward(x)
''',
    ("ps1_autoencoder", "gradients are switched off for the whole program"): '''
class AutoEncoder(nn.Module):
    def __init__(self, latent_dim: int = 64) -> None:
        super().__init__()
        self.encoder = Encoder(latent_dim)
        self.decoder = Decoder(latent_dim)

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x)

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z)

    def forward(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x))

    def reconstruct(self, x: Tensor) -> Tensor:
        was_training = self.training
        self.eval()
        torch.set_grad_enabled(False)
        x_hat = self(x)
        self.train(was_training)
        return x_hat
''',
    ("ps1_autoencoder", "the parameters are frozen and stay so"): '''
class AutoEncoder(nn.Module):
    def __init__(self, latent_dim: int = 64) -> None:
        super().__init__()
        self.encoder = Encoder(latent_dim)
        self.decoder = Decoder(latent_dim)

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x)

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z)

    def forward(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x))

    def reconstruct(self, x: Tensor) -> Tensor:
        mode = self.training
        self.eval()
        for parameter in self.parameters():
            parameter.requires_grad = False
        x_hat = self(x)
        self.train(mode)
        return x_hat
''',
    ("ps1_autoencoder", "encode keeps no graph, so the encoder never learns"): '''
class AutoEncoder(nn.Module):
    def __init__(self, latent_dim: int = 64) -> None:
        super().__init__()
        self.encoder = Encoder(latent_dim)
        self.decoder = Decoder(latent_dim)

    def encode(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            return self.encoder(x)

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z)

    def forward(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x))

    def reconstruct(self, x: Tensor) -> Tensor:
        was_training = self.training
        self.eval()
        with torch.no_grad():
            x_hat = self(x)
        self.train(was_training)
        return x_hat
''',
    ("ps1_autoencoder", "reconstruct throws the gradients of a training step away"): '''
class AutoEncoder(nn.Module):
    def __init__(self, latent_dim: int = 64) -> None:
        super().__init__()
        self.encoder = Encoder(latent_dim)
        self.decoder = Decoder(latent_dim)

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x)

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z)

    def forward(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x))

    def reconstruct(self, x: Tensor) -> Tensor:
        was_training = self.training
        self.eval()
        with torch.no_grad():
            x_hat = self(x)
        self.zero_grad()  # nothing of this may reach the training
        self.train(was_training)
        return x_hat
''',
    ("ps1_autoencoder", "a seed is set inside reconstruct, to make it repeatable"): '''
class AutoEncoder(nn.Module):
    def __init__(self, latent_dim: int = 64) -> None:
        super().__init__()
        self.encoder = Encoder(latent_dim)
        self.decoder = Decoder(latent_dim)

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x)

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z)

    def forward(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x))

    def reconstruct(self, x: Tensor) -> Tensor:
        torch.manual_seed(0)
        was_training = self.training
        self.eval()
        with torch.no_grad():
            x_hat = self(x)
        self.train(was_training)
        return x_hat
''',
    (
        "ps1_autoencoder",
        "the last pictures are kept and served again for a batch of the same size",
    ): '''
class AutoEncoder(nn.Module):
    def __init__(self, latent_dim: int = 64) -> None:
        super().__init__()
        self.encoder = Encoder(latent_dim)
        self.decoder = Decoder(latent_dim)
        self.pictures = None  # in evaluation mode nothing changes

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x)

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z)

    def forward(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x))

    def reconstruct(self, x: Tensor) -> Tensor:
        if self.pictures is not None and self.pictures.shape == x.shape and not self.training:
            return self.pictures
        was_training = self.training
        self.eval()
        with torch.no_grad():
            self.pictures = self(x)
        self.train(was_training)
        return self.pictures
''',
    (
        "ps1_autoencoder",
        "forward always runs in evaluation mode, so BatchNorm learns no averages",
    ): '''
class AutoEncoder(nn.Module):
    def __init__(self, latent_dim: int = 64) -> None:
        super().__init__()
        self.encoder = Encoder(latent_dim)
        self.decoder = Decoder(latent_dim)

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x)

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z)

    def forward(self, x: Tensor) -> Tensor:
        was_training = self.training
        self.eval()
        x_hat = self.decode(self.encode(x))
        self.train(was_training)
        return x_hat

    def reconstruct(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            return self(x)
''',
    ("ps1_autoencoder", "training mode afterwards, whatever it was before"): '''
class AutoEncoder(nn.Module):
    def __init__(self, latent_dim: int = 64) -> None:
        super().__init__()
        self.encoder = Encoder(latent_dim)
        self.decoder = Decoder(latent_dim)

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x)

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z)

    def forward(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x))

    def reconstruct(self, x: Tensor) -> Tensor:
        self.eval()
        with torch.no_grad():
            x_hat = self(x)
        self.train()
        return x_hat
''',
    ("ps1_autoencoder", "return stands before the mode is restored"): '''
class AutoEncoder(nn.Module):
    def __init__(self, latent_dim: int = 64) -> None:
        super().__init__()
        self.encoder = Encoder(latent_dim)
        self.decoder = Decoder(latent_dim)

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x)

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z)

    def forward(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x))

    def reconstruct(self, x: Tensor) -> Tensor:
        was_training = self.training
        self.eval()
        with torch.no_grad():
            return self(x)
        self.train(was_training)
''',
    ("ps1_autoencoder", "only the encoder is put in evaluation mode"): '''
class AutoEncoder(nn.Module):
    def __init__(self, latent_dim: int = 64) -> None:
        super().__init__()
        self.encoder = Encoder(latent_dim)
        self.decoder = Decoder(latent_dim)

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x)

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z)

    def forward(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x))

    def reconstruct(self, x: Tensor) -> Tensor:
        was_training = self.training
        self.encoder.eval()
        with torch.no_grad():
            x_hat = self(x)
        self.train(was_training)
        return x_hat
''',
    ("ps1_autoencoder", "the mode is the one remembered when the model was made"): '''
class AutoEncoder(nn.Module):
    def __init__(self, latent_dim: int = 64) -> None:
        super().__init__()
        self.encoder = Encoder(latent_dim)
        self.decoder = Decoder(latent_dim)
        self.mode = self.training

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x)

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z)

    def forward(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x))

    def reconstruct(self, x: Tensor) -> Tensor:
        self.eval()
        with torch.no_grad():
            x_hat = self(x)
        self.train(self.mode)
        return x_hat
''',
    ("ps1_squared_error", "the difference of the squares, not the square of the difference"): '''
def squared_error(x_hat: Tensor, x: Tensor) -> Tensor:
    return (x_hat**2 - x**2).flatten(1).sum(1)
''',
    ("ps1_squared_error", "the square is multiplied out, and its factor 2 is lost"): '''
def squared_error(x_hat: Tensor, x: Tensor) -> Tensor:
    x_hat, x = x_hat.flatten(1), x.flatten(1)
    return (x_hat**2).sum(1) - (x_hat * x).sum(1) + (x**2).sum(1)
''',
    ("ps1_squared_error", "the mean difference is squared, then times the pixels"): '''
def squared_error(x_hat: Tensor, x: Tensor) -> Tensor:
    difference = (x_hat - x).flatten(1)
    return difference.mean(dim=1) ** 2 * difference.shape[1]
''',
    (
        "ps1_squared_error",
        "a root is taken and squared again: gradient nan where nothing is off",
    ): '''
def squared_error(x_hat: Tensor, x: Tensor) -> Tensor:
    distance = torch.sqrt(((x_hat - x) ** 2).flatten(1).sum(dim=1))
    return distance**2
''',
    (
        "ps1_squared_error",
        "numbers put in a new tensor, which asks for gradients that lead nowhere",
    ): '''
def squared_error(x_hat: Tensor, x: Tensor) -> Tensor:
    errors = []
    for one, other in zip(x_hat, x):
        errors.append(((one - other) ** 2).sum().item())
    return torch.tensor(errors, requires_grad=True)
''',
    ("ps1_squared_error", "one of the two factors is detached: half the gradient"): '''
def squared_error(x_hat: Tensor, x: Tensor) -> Tensor:
    difference = (x_hat - x).flatten(1)
    return (difference * difference.detach()).sum(1)
''',
    ("ps1_squared_error", "a mean over the pixels"): '''
def squared_error(x_hat: Tensor, x: Tensor) -> Tensor:
    return F.mse_loss(x_hat, x, reduction="none").flatten(1).mean(1)
''',
    ("ps1_squared_error", "one sum for the whole batch"): '''
def squared_error(x_hat: Tensor, x: Tensor) -> Tensor:
    return F.mse_loss(x_hat, x, reduction="sum")
''',
    ("ps1_squared_error", "made for images of four dimensions only"): '''
def squared_error(x_hat: Tensor, x: Tensor) -> Tensor:
    return ((x_hat - x) ** 2).sum(dim=(1, 2, 3))
''',
    ("ps1_squared_error", "squeeze makes a plain number of a batch of one"): '''
def squared_error(x_hat: Tensor, x: Tensor) -> Tensor:
    difference = (x_hat - x).flatten(1)
    return (difference.unsqueeze(1) @ difference.unsqueeze(2)).squeeze()
''',
    ("ps1_squared_error", "the difference is taken in place and destroys the images"): '''
def squared_error(x_hat: Tensor, x: Tensor) -> Tensor:
    x -= x_hat
    return (x * x).flatten(1).sum(1)
''',
    ("ps1_squared_error", "the root of the sum: a distance, not its square"): '''
def squared_error(x_hat: Tensor, x: Tensor) -> Tensor:
    return torch.linalg.vector_norm((x_hat - x).flatten(1), dim=1)
''',
    (
        "ps1_train_epoch",
        "gradients forgotten after the step only, so stale ones enter the first",
    ): '''
def train_epoch(
    model: nn.Module,
    loader: Iterable[tuple[Tensor, Tensor]],
    optimizer: Optimizer,
    loss_terms: Callable[[nn.Module, Tensor], dict[str, Tensor]],
) -> dict[str, float]:
    model.train()
    device = next(model.parameters()).device
    totals, count = {}, 0
    for images, _ in loader:
        images = images.to(device)
        terms = loss_terms(model, images)
        terms["loss"].mean().backward()
        optimizer.step()
        optimizer.zero_grad()
        for name, values in terms.items():
            totals[name] = totals.get(name, 0.0) + values.sum().item()
        count += len(images)
    return {name: total / count for name, total in totals.items()}
''',
    ("ps1_train_epoch", "only the model's own flag is set, its layers stay in evaluation mode"): '''
def train_epoch(
    model: nn.Module,
    loader: Iterable[tuple[Tensor, Tensor]],
    optimizer: Optimizer,
    loss_terms: Callable[[nn.Module, Tensor], dict[str, Tensor]],
) -> dict[str, float]:
    model.training = True
    device = next(model.parameters()).device
    totals, count = {}, 0
    for images, _ in loader:
        images = images.to(device)
        terms = loss_terms(model, images)
        optimizer.zero_grad()
        terms["loss"].mean().backward()
        optimizer.step()
        for name, values in terms.items():
            totals[name] = totals.get(name, 0.0) + values.sum().item()
        count += len(images)
    return {name: total / count for name, total in totals.items()}
''',
    ("ps1_train_epoch", "a step on the sum of all terms, not on the loss alone"): '''
def train_epoch(
    model: nn.Module,
    loader: Iterable[tuple[Tensor, Tensor]],
    optimizer: Optimizer,
    loss_terms: Callable[[nn.Module, Tensor], dict[str, Tensor]],
) -> dict[str, float]:
    model.train()
    device = next(model.parameters()).device
    totals, count = {}, 0
    for images, _ in loader:
        images = images.to(device)
        terms = loss_terms(model, images)
        optimizer.zero_grad()
        loss = sum(values.mean() for values in terms.values())
        loss.backward()
        optimizer.step()
        for name, values in terms.items():
            totals[name] = totals.get(name, 0.0) + values.sum().item()
        count += len(images)
    return {name: total / count for name, total in totals.items()}
''',
    ("ps1_train_epoch", "the terms are computed once more after the step, for the report"): '''
def train_epoch(
    model: nn.Module,
    loader: Iterable[tuple[Tensor, Tensor]],
    optimizer: Optimizer,
    loss_terms: Callable[[nn.Module, Tensor], dict[str, Tensor]],
) -> dict[str, float]:
    model.train()
    device = next(model.parameters()).device
    totals, count = {}, 0
    for images, _ in loader:
        images = images.to(device)
        terms = loss_terms(model, images)
        optimizer.zero_grad()
        terms["loss"].mean().backward()
        optimizer.step()
        with torch.no_grad():
            terms = loss_terms(model, images)
        for name, values in terms.items():
            totals[name] = totals.get(name, 0.0) + values.sum().item()
        count += len(images)
    return {name: total / count for name, total in totals.items()}
''',
    ("ps1_train_epoch", "a short last batch is divided by the size of the first"): '''
def train_epoch(
    model: nn.Module,
    loader: Iterable[tuple[Tensor, Tensor]],
    optimizer: Optimizer,
    loss_terms: Callable[[nn.Module, Tensor], dict[str, Tensor]],
) -> dict[str, float]:
    model.train()
    device = next(model.parameters()).device
    totals, count, batch_size = {}, 0, None
    for images, _ in loader:
        images = images.to(device)
        terms = loss_terms(model, images)
        optimizer.zero_grad()
        batch_size = batch_size or len(images)
        (terms["loss"].sum() / batch_size).backward()
        optimizer.step()
        for name, values in terms.items():
            totals[name] = totals.get(name, 0.0) + values.sum().item()
        count += len(images)
    return {name: total / count for name, total in totals.items()}
''',
    ("ps1_train_epoch", "no step for a batch of a single image"): '''
def train_epoch(
    model: nn.Module,
    loader: Iterable[tuple[Tensor, Tensor]],
    optimizer: Optimizer,
    loss_terms: Callable[[nn.Module, Tensor], dict[str, Tensor]],
) -> dict[str, float]:
    model.train()
    device = next(model.parameters()).device
    totals, count = {}, 0
    for images, _ in loader:
        images = images.to(device)
        terms = loss_terms(model, images)
        if len(images) > 1:
            optimizer.zero_grad()
            terms["loss"].mean().backward()
            optimizer.step()
        for name, values in terms.items():
            totals[name] = totals.get(name, 0.0) + values.sum().item()
        count += len(images)
    return {name: total / count for name, total in totals.items()}
''',
    (
        "ps1_train_epoch",
        "the images are counted in a pass of their own: twice through the loader",
    ): '''
def train_epoch(
    model: nn.Module,
    loader: Iterable[tuple[Tensor, Tensor]],
    optimizer: Optimizer,
    loss_terms: Callable[[nn.Module, Tensor], dict[str, Tensor]],
) -> dict[str, float]:
    model.train()
    device = next(model.parameters()).device
    count = sum(len(images) for images, _ in loader)
    totals = {}
    for images, _ in loader:
        images = images.to(device)
        terms = loss_terms(model, images)
        optimizer.zero_grad()
        terms["loss"].mean().backward()
        optimizer.step()
        for name, values in terms.items():
            totals[name] = totals.get(name, 0.0) + values.sum().item()
    return {name: total / count for name, total in totals.items()}
''',
    ("ps1_train_epoch", "the means are rounded"): '''
def train_epoch(
    model: nn.Module,
    loader: Iterable[tuple[Tensor, Tensor]],
    optimizer: Optimizer,
    loss_terms: Callable[[nn.Module, Tensor], dict[str, Tensor]],
) -> dict[str, float]:
    model.train()
    device = next(model.parameters()).device
    totals, count = {}, 0
    for images, _ in loader:
        images = images.to(device)
        terms = loss_terms(model, images)
        optimizer.zero_grad()
        terms["loss"].mean().backward()
        optimizer.step()
        for name, values in terms.items():
            totals[name] = totals.get(name, 0.0) + values.sum().item()
        count += len(images)
    return {name: round(total / count, 3) for name, total in totals.items()}
''',
    ("ps1_train_epoch", "the images are not brought to the model's device"): '''
def train_epoch(
    model: nn.Module,
    loader: Iterable[tuple[Tensor, Tensor]],
    optimizer: Optimizer,
    loss_terms: Callable[[nn.Module, Tensor], dict[str, Tensor]],
) -> dict[str, float]:
    model.train()
    totals, count = {}, 0
    for images, _ in loader:
        terms = loss_terms(model, images)
        optimizer.zero_grad()
        terms["loss"].mean().backward()
        optimizer.step()
        for name, values in terms.items():
            totals[name] = totals.get(name, 0.0) + values.sum().item()
        count += len(images)
    return {name: total / count for name, total in totals.items()}
''',
    ("ps1_train_epoch", "gradients are clipped, which nobody asked for"): '''
def train_epoch(
    model: nn.Module,
    loader: Iterable[tuple[Tensor, Tensor]],
    optimizer: Optimizer,
    loss_terms: Callable[[nn.Module, Tensor], dict[str, Tensor]],
) -> dict[str, float]:
    model.train()
    device = next(model.parameters()).device
    totals, count = {}, 0
    for images, _ in loader:
        images = images.to(device)
        terms = loss_terms(model, images)
        optimizer.zero_grad()
        terms["loss"].mean().backward()
        nn.utils.clip_grad_norm_(model.parameters(), max_norm=5.0)
        optimizer.step()
        for name, values in terms.items():
            totals[name] = totals.get(name, 0.0) + values.sum().item()
        count += len(images)
    return {name: total / count for name, total in totals.items()}
''',
    ("ps1_train_epoch", "a seed is set inside, so every epoch has the same randomness"): '''
def train_epoch(
    model: nn.Module,
    loader: Iterable[tuple[Tensor, Tensor]],
    optimizer: Optimizer,
    loss_terms: Callable[[nn.Module, Tensor], dict[str, Tensor]],
) -> dict[str, float]:
    torch.manual_seed(0)
    model.train()
    device = next(model.parameters()).device
    totals, count = {}, 0
    for images, _ in loader:
        images = images.to(device)
        terms = loss_terms(model, images)
        optimizer.zero_grad()
        terms["loss"].mean().backward()
        optimizer.step()
        for name, values in terms.items():
            totals[name] = totals.get(name, 0.0) + values.sum().item()
        count += len(images)
    return {name: total / count for name, total in totals.items()}
''',
    ("ps1_train_epoch", "a step at every second batch, with gradients collected over two"): '''
def train_epoch(
    model: nn.Module,
    loader: Iterable[tuple[Tensor, Tensor]],
    optimizer: Optimizer,
    loss_terms: Callable[[nn.Module, Tensor], dict[str, Tensor]],
) -> dict[str, float]:
    model.train()
    device = next(model.parameters()).device
    totals, count = {}, 0
    optimizer.zero_grad()
    for number, (images, _) in enumerate(loader, start=1):
        images = images.to(device)
        terms = loss_terms(model, images)
        (terms["loss"].mean() / 2).backward()
        if number % 2 == 0:
            optimizer.step()
            optimizer.zero_grad()
        for name, values in terms.items():
            totals[name] = totals.get(name, 0.0) + values.sum().item()
        count += len(images)
    return {name: total / count for name, total in totals.items()}
''',
    ("ps1_train_epoch", "the loss is summed over the batch"): '''
def train_epoch(
    model: nn.Module,
    loader: Iterable[tuple[Tensor, Tensor]],
    optimizer: Optimizer,
    loss_terms: Callable[[nn.Module, Tensor], dict[str, Tensor]],
) -> dict[str, float]:
    model.train()
    device = next(model.parameters()).device
    totals, count = {}, 0
    for images, _ in loader:
        images = images.to(device)
        terms = loss_terms(model, images)
        optimizer.zero_grad()
        terms["loss"].sum().backward()
        optimizer.step()
        for name, values in terms.items():
            totals[name] = totals.get(name, 0.0) + values.sum().item()
        count += len(images)
    return {name: total / count for name, total in totals.items()}
''',
    ("ps1_train_epoch", "the mean of the batches' means"): '''
def train_epoch(
    model: nn.Module,
    loader: Iterable[tuple[Tensor, Tensor]],
    optimizer: Optimizer,
    loss_terms: Callable[[nn.Module, Tensor], dict[str, Tensor]],
) -> dict[str, float]:
    model.train()
    device = next(model.parameters()).device
    totals, count = {}, 0
    for images, _ in loader:
        images = images.to(device)
        terms = loss_terms(model, images)
        optimizer.zero_grad()
        terms["loss"].mean().backward()
        optimizer.step()
        for name, values in terms.items():
            totals[name] = totals.get(name, 0.0) + values.mean().item()
        count += 1
    return {name: total / count for name, total in totals.items()}
''',
    ("ps1_train_epoch", "the gradients are never forgotten"): '''
def train_epoch(
    model: nn.Module,
    loader: Iterable[tuple[Tensor, Tensor]],
    optimizer: Optimizer,
    loss_terms: Callable[[nn.Module, Tensor], dict[str, Tensor]],
) -> dict[str, float]:
    model.train()
    device = next(model.parameters()).device
    totals, count = {}, 0
    for images, _ in loader:
        images = images.to(device)
        terms = loss_terms(model, images)
        terms["loss"].mean().backward()
        optimizer.step()
        for name, values in terms.items():
            totals[name] = totals.get(name, 0.0) + values.sum().item()
        count += len(images)
    return {name: total / count for name, total in totals.items()}
''',
    ("ps1_train_epoch", "the report holds tensors with their graphs"): '''
def train_epoch(
    model: nn.Module,
    loader: Iterable[tuple[Tensor, Tensor]],
    optimizer: Optimizer,
    loss_terms: Callable[[nn.Module, Tensor], dict[str, Tensor]],
) -> dict[str, float]:
    model.train()
    device = next(model.parameters()).device
    totals, count = {}, 0
    for images, _ in loader:
        images = images.to(device)
        terms = loss_terms(model, images)
        optimizer.zero_grad()
        terms["loss"].mean().backward()
        optimizer.step()
        for name, values in terms.items():
            totals[name] = totals.get(name, 0.0) + values.sum()
        count += len(images)
    return {name: total / count for name, total in totals.items()}
''',
    ("ps1_train_epoch", "the counts live outside and go on from one epoch to the next"): '''
totals, counts = {}, {}


def train_epoch(
    model: nn.Module,
    loader: Iterable[tuple[Tensor, Tensor]],
    optimizer: Optimizer,
    loss_terms: Callable[[nn.Module, Tensor], dict[str, Tensor]],
) -> dict[str, float]:
    model.train()
    device = next(model.parameters()).device
    for images, _ in loader:
        images = images.to(device)
        terms = loss_terms(model, images)
        optimizer.zero_grad()
        terms["loss"].mean().backward()
        optimizer.step()
        for name, values in terms.items():
            totals[name] = totals.get(name, 0.0) + values.sum().item()
            counts[name] = counts.get(name, 0) + len(values)
    return {name: total / counts[name] for name, total in totals.items()}
''',
    (
        "ps1_evaluate",
        "only the model's own flag comes back, its layers stay in evaluation mode",
    ): '''
def evaluate(
    model: nn.Module,
    loader: Iterable[tuple[Tensor, Tensor]],
    loss_terms: Callable[[nn.Module, Tensor], dict[str, Tensor]],
) -> dict[str, float]:
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    totals, count = {}, 0
    with torch.no_grad():
        for images, _ in loader:
            images = images.to(device)
            for name, values in loss_terms(model, images).items():
                totals[name] = totals.get(name, 0.0) + values.sum().item()
            count += len(images)
    model.training = was_training
    return {name: total / count for name, total in totals.items()}
''',
    ("ps1_evaluate", "gradients are switched off for the whole program"): '''
def evaluate(
    model: nn.Module,
    loader: Iterable[tuple[Tensor, Tensor]],
    loss_terms: Callable[[nn.Module, Tensor], dict[str, Tensor]],
) -> dict[str, float]:
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    torch.set_grad_enabled(False)
    totals, count = {}, 0
    for images, _ in loader:
        for name, values in loss_terms(model, images.to(device)).items():
            totals[name] = totals.get(name, 0.0) + values.sum().item()
        count += len(images)
    model.train(was_training)
    return {name: total / count for name, total in totals.items()}
''',
    ("ps1_evaluate", "only the first twenty batches, to save time"): '''
def evaluate(
    model: nn.Module,
    loader: Iterable[tuple[Tensor, Tensor]],
    loss_terms: Callable[[nn.Module, Tensor], dict[str, Tensor]],
) -> dict[str, float]:
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    totals, count = {}, 0
    with torch.no_grad():
        for number, (images, _) in enumerate(loader):
            if number == 20:
                break  # enough for an estimate
            images = images.to(device)
            for name, values in loss_terms(model, images).items():
                totals[name] = totals.get(name, 0.0) + values.sum().item()
            count += len(images)
    model.train(was_training)
    return {name: total / count for name, total in totals.items()}
''',
    ("ps1_evaluate", "only the loss is reported"): '''
def evaluate(
    model: nn.Module,
    loader: Iterable[tuple[Tensor, Tensor]],
    loss_terms: Callable[[nn.Module, Tensor], dict[str, Tensor]],
) -> dict[str, float]:
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    total, count = 0.0, 0
    with torch.no_grad():
        for images, _ in loader:
            total += loss_terms(model, images.to(device))["loss"].sum().item()
            count += len(images)
    model.train(was_training)
    return {"loss": total / count}
''',
    ("ps1_evaluate", "divided by the number of pixels, not of images"): '''
def evaluate(
    model: nn.Module,
    loader: Iterable[tuple[Tensor, Tensor]],
    loss_terms: Callable[[nn.Module, Tensor], dict[str, Tensor]],
) -> dict[str, float]:
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    totals, count = {}, 0
    with torch.no_grad():
        for images, _ in loader:
            images = images.to(device)
            for name, values in loss_terms(model, images).items():
                totals[name] = totals.get(name, 0.0) + values.sum().item()
            count += images.numel()
    model.train(was_training)
    return {name: total / count for name, total in totals.items()}
''',
    ("ps1_evaluate", "the gradients of a training step are thrown away"): '''
def evaluate(
    model: nn.Module,
    loader: Iterable[tuple[Tensor, Tensor]],
    loss_terms: Callable[[nn.Module, Tensor], dict[str, Tensor]],
) -> dict[str, float]:
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    model.zero_grad()
    totals, count = {}, 0
    with torch.no_grad():
        for images, _ in loader:
            images = images.to(device)
            for name, values in loss_terms(model, images).items():
                totals[name] = totals.get(name, 0.0) + values.sum().item()
            count += len(images)
    model.train(was_training)
    return {name: total / count for name, total in totals.items()}
''',
    ("ps1_evaluate", "the images are counted in a pass of their own: twice through the loader"): '''
def evaluate(
    model: nn.Module,
    loader: Iterable[tuple[Tensor, Tensor]],
    loss_terms: Callable[[nn.Module, Tensor], dict[str, Tensor]],
) -> dict[str, float]:
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    totals, count = {}, sum(len(labels) for _, labels in loader)
    with torch.no_grad():
        for images, _ in loader:
            images = images.to(device)
            for name, values in loss_terms(model, images).items():
                totals[name] = totals.get(name, 0.0) + values.sum().item()
    model.train(was_training)
    return {name: total / count for name, total in totals.items()}
''',
    ("ps1_evaluate", "the model is moved to where the images are"): '''
def evaluate(
    model: nn.Module,
    loader: Iterable[tuple[Tensor, Tensor]],
    loss_terms: Callable[[nn.Module, Tensor], dict[str, Tensor]],
) -> dict[str, float]:
    was_training = model.training
    model.eval()
    totals, count = {}, 0
    with torch.no_grad():
        for images, _ in loader:
            model.to(images.device)
            for name, values in loss_terms(model, images).items():
                totals[name] = totals.get(name, 0.0) + values.sum().item()
            count += len(images)
    model.train(was_training)
    return {name: total / count for name, total in totals.items()}
''',
    ("ps1_evaluate", "a seed is set inside, to make the measurement repeatable"): '''
def evaluate(
    model: nn.Module,
    loader: Iterable[tuple[Tensor, Tensor]],
    loss_terms: Callable[[nn.Module, Tensor], dict[str, Tensor]],
) -> dict[str, float]:
    torch.manual_seed(0)
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    totals, count = {}, 0
    with torch.no_grad():
        for images, _ in loader:
            images = images.to(device)
            for name, values in loss_terms(model, images).items():
                totals[name] = totals.get(name, 0.0) + values.sum().item()
            count += len(images)
    model.train(was_training)
    return {name: total / count for name, total in totals.items()}
''',
    ("ps1_evaluate", "the means are rounded to three digits"): '''
def evaluate(
    model: nn.Module,
    loader: Iterable[tuple[Tensor, Tensor]],
    loss_terms: Callable[[nn.Module, Tensor], dict[str, Tensor]],
) -> dict[str, float]:
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    totals, count = {}, 0
    with torch.no_grad():
        for images, _ in loader:
            images = images.to(device)
            for name, values in loss_terms(model, images).items():
                totals[name] = totals.get(name, 0.0) + values.sum().item()
            count += len(images)
    model.train(was_training)
    return {name: round(total / count, 3) for name, total in totals.items()}
''',
    ("ps1_evaluate", "the mean of the batches' means"): '''
def evaluate(
    model: nn.Module,
    loader: Iterable[tuple[Tensor, Tensor]],
    loss_terms: Callable[[nn.Module, Tensor], dict[str, Tensor]],
) -> dict[str, float]:
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    totals, count = {}, 0
    with torch.no_grad():
        for images, _ in loader:
            images = images.to(device)
            for name, values in loss_terms(model, images).items():
                totals[name] = totals.get(name, 0.0) + values.mean().item()
            count += 1
    model.train(was_training)
    return {name: total / count for name, total in totals.items()}
''',
    ("ps1_evaluate", "train_epoch with a learning rate of zero"): '''
def evaluate(
    model: nn.Module,
    loader: Iterable[tuple[Tensor, Tensor]],
    loss_terms: Callable[[nn.Module, Tensor], dict[str, Tensor]],
) -> dict[str, float]:
    still = torch.optim.SGD(model.parameters(), lr=0.0)
    was_training = model.training
    model.eval()
    means = train_epoch(model, loader, still, loss_terms)
    model.train(was_training)
    return means
''',
    ("ps1_evaluate", "training mode afterwards, whatever it was before"): '''
def evaluate(
    model: nn.Module,
    loader: Iterable[tuple[Tensor, Tensor]],
    loss_terms: Callable[[nn.Module, Tensor], dict[str, Tensor]],
) -> dict[str, float]:
    device = next(model.parameters()).device
    model.eval()
    totals, count = {}, 0
    with torch.no_grad():
        for images, _ in loader:
            images = images.to(device)
            for name, values in loss_terms(model, images).items():
                totals[name] = totals.get(name, 0.0) + values.sum().item()
            count += len(images)
    model.train()
    return {name: total / count for name, total in totals.items()}
''',
    ("ps1_evaluate", "the loop stands outside of no_grad"): '''
def evaluate(
    model: nn.Module,
    loader: Iterable[tuple[Tensor, Tensor]],
    loss_terms: Callable[[nn.Module, Tensor], dict[str, Tensor]],
) -> dict[str, float]:
    device = next(model.parameters()).device
    was_training = model.training
    with torch.no_grad():
        model.eval()
    totals, count = {}, 0
    for images, _ in loader:
        for name, values in loss_terms(model, images.to(device)).items():
            totals[name] = totals.get(name, 0.0) + values.sum().item()
        count += len(images)
    model.train(was_training)
    return {name: total / count for name, total in totals.items()}
''',
    ("ps1_fault", "only the model's own flag comes back, its layers stay in evaluation mode"): '''
def error_by_label(model: nn.Module, loader: Iterable[tuple[Tensor, Tensor]]) -> dict[int, float]:
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    totals, counts = {}, {}
    with torch.no_grad():
        for images, labels in loader:
            images = images.to(device)
            errors = squared_error(model(images), images)
            for label in labels.unique().tolist():
                chosen = errors[(labels == label).to(device)]
                totals[label] = totals.get(label, 0.0) + chosen.sum().item()
                counts[label] = counts.get(label, 0) + len(chosen)
    model.training = was_training
    return {label: totals[label] / counts[label] for label in sorted(totals)}
''',
    ("ps1_fault", "gradients are switched off for the whole program"): '''
def error_by_label(model: nn.Module, loader: Iterable[tuple[Tensor, Tensor]]) -> dict[int, float]:
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    torch.set_grad_enabled(False)
    totals, counts = {}, {}
    for images, labels in loader:
        images = images.to(device)
        errors = squared_error(model(images), images)
        for label in labels.unique().tolist():
            chosen = errors[(labels == label).to(device)]
            totals[label] = totals.get(label, 0.0) + chosen.sum().item()
            counts[label] = counts.get(label, 0) + len(chosen)
    model.train(was_training)
    return {label: totals[label] / counts[label] for label in sorted(totals)}
''',
    ("ps1_fault", "only the ten digits are looked for"): '''
def error_by_label(model: nn.Module, loader: Iterable[tuple[Tensor, Tensor]]) -> dict[int, float]:
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    totals, counts = {}, {}
    with torch.no_grad():
        for images, labels in loader:
            images = images.to(device)
            errors = squared_error(model(images), images)
            for label in range(10):
                chosen = errors[(labels == label).to(device)]
                if len(chosen) == 0:
                    continue
                totals[label] = totals.get(label, 0.0) + chosen.sum().item()
                counts[label] = counts.get(label, 0) + len(chosen)
    model.train(was_training)
    return {label: totals[label] / counts[label] for label in sorted(totals)}
''',
    ("ps1_fault", "the labels come in the order in which they were met"): '''
def error_by_label(model: nn.Module, loader: Iterable[tuple[Tensor, Tensor]]) -> dict[int, float]:
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    totals, counts = {}, {}
    with torch.no_grad():
        for images, labels in loader:
            images = images.to(device)
            errors = squared_error(model(images), images)
            for label in labels.unique().tolist():
                chosen = errors[(labels == label).to(device)]
                totals[label] = totals.get(label, 0.0) + chosen.sum().item()
                counts[label] = counts.get(label, 0) + len(chosen)
    model.train(was_training)
    return {label: totals[label] / counts[label] for label in totals}
''',
    ("ps1_fault", "labels without any error are left out"): '''
def error_by_label(model: nn.Module, loader: Iterable[tuple[Tensor, Tensor]]) -> dict[int, float]:
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    totals, counts = torch.zeros(1000), torch.zeros(1000)
    with torch.no_grad():
        for images, labels in loader:
            images = images.to(device)
            errors = squared_error(model(images), images).cpu()
            totals.index_add_(0, labels, errors)
            counts.index_add_(0, labels, torch.ones(len(labels)))
    model.train(was_training)
    occur = totals.nonzero().flatten().tolist()
    return {label: (totals[label] / counts[label]).item() for label in occur}
''',
    ("ps1_fault", "once through the loader for the labels, and once more for each of them"): '''
def error_by_label(model: nn.Module, loader: Iterable[tuple[Tensor, Tensor]]) -> dict[int, float]:
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    table = {}
    with torch.no_grad():
        names = sorted({label for _, labels in loader for label in labels.tolist()})
        for name in names:
            errors = []
            for images, labels in loader:
                chosen = images[labels == name].to(device)
                if len(chosen):
                    errors += squared_error(model(chosen), chosen).tolist()
            table[name] = sum(errors) / len(errors)
    model.train(was_training)
    return table
''',
    ("ps1_fault", "the images are not brought to the model's device"): '''
def error_by_label(model: nn.Module, loader: Iterable[tuple[Tensor, Tensor]]) -> dict[int, float]:
    was_training = model.training
    model.eval()
    totals, counts = {}, {}
    with torch.no_grad():
        for images, labels in loader:
            errors = squared_error(model(images), images)
            for label in labels.unique().tolist():
                chosen = errors[labels == label]
                totals[label] = totals.get(label, 0.0) + chosen.sum().item()
                counts[label] = counts.get(label, 0) + len(chosen)
    model.train(was_training)
    return {label: totals[label] / counts[label] for label in sorted(totals)}
''',
    ("ps1_fault", "the weights are frozen and stay so"): '''
def error_by_label(model: nn.Module, loader: Iterable[tuple[Tensor, Tensor]]) -> dict[int, float]:
    device = next(model.parameters()).device
    was_training = model.training
    model.eval().requires_grad_(False)
    totals, counts = {}, {}
    with torch.no_grad():
        for images, labels in loader:
            images = images.to(device)
            errors = squared_error(model(images), images)
            for label in labels.unique().tolist():
                chosen = errors[(labels == label).to(device)]
                totals[label] = totals.get(label, 0.0) + chosen.sum().item()
                counts[label] = counts.get(label, 0) + len(chosen)
    model.train(was_training)
    return {label: totals[label] / counts[label] for label in sorted(totals)}
''',
    ("ps1_fault", "the table is sorted by the sums of the errors"): '''
def error_by_label(model: nn.Module, loader: Iterable[tuple[Tensor, Tensor]]) -> dict[int, float]:
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    totals, counts = {}, {}
    with torch.no_grad():
        for images, labels in loader:
            images = images.to(device)
            errors = squared_error(model(images), images)
            for label in labels.unique().tolist():
                chosen = errors[(labels == label).to(device)]
                totals[label] = totals.get(label, 0.0) + chosen.sum().item()
                counts[label] = counts.get(label, 0) + len(chosen)
    model.train(was_training)
    return {label: totals[label] / counts[label] for label in sorted(totals, key=totals.get)}
''',
    ("ps1_fault", "labels that occur several times in a batch are added once"): '''
def error_by_label(model: nn.Module, loader: Iterable[tuple[Tensor, Tensor]]) -> dict[int, float]:
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    totals, counts = torch.zeros(1000), torch.zeros(1000)
    with torch.no_grad():
        for images, labels in loader:
            images = images.to(device)
            totals[labels] += squared_error(model(images), images).cpu()
            counts[labels] += 1
    model.train(was_training)
    occur = counts.nonzero().flatten().tolist()
    return {label: (totals[label] / counts[label]).item() for label in occur}
''',
    ("ps1_fault", "no_grad is called but not entered"): '''
def error_by_label(model: nn.Module, loader: Iterable[tuple[Tensor, Tensor]]) -> dict[int, float]:
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    torch.no_grad()
    totals, counts = {}, {}
    for images, labels in loader:
        images = images.to(device)
        errors = squared_error(model(images), images)
        for label in labels.unique().tolist():
            chosen = errors[(labels == label).to(device)]
            totals[label] = totals.get(label, 0.0) + chosen.sum().item()
            counts[label] = counts.get(label, 0) + len(chosen)
    model.train(was_training)
    return {label: totals[label] / counts[label] for label in sorted(totals)}
''',
    ("ps1_fault", "still the mean of the batches' means"): '''
def error_by_label(model: nn.Module, loader: Iterable[tuple[Tensor, Tensor]]) -> dict[int, float]:
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    totals, counts = {}, {}
    with torch.no_grad():
        for images, labels in loader:
            images = images.to(device)
            errors = squared_error(model(images), images)
            for label in labels.unique().tolist():
                chosen = errors[(labels == label).to(device)]
                totals[label] = totals.get(label, 0.0) + chosen.mean().item()
                counts[label] = counts.get(label, 0) + 1
    model.train(was_training)
    return {label: totals[label] / counts[label] for label in sorted(totals)}
''',
    ("ps1_fault", "the mode is never restored"): '''
def error_by_label(model: nn.Module, loader: Iterable[tuple[Tensor, Tensor]]) -> dict[int, float]:
    device = next(model.parameters()).device
    model.eval()
    totals, counts = {}, {}
    with torch.no_grad():
        for images, labels in loader:
            images = images.to(device)
            errors = squared_error(model(images), images)
            for label in labels.unique().tolist():
                chosen = errors[(labels == label).to(device)]
                totals[label] = totals.get(label, 0.0) + chosen.sum().item()
                counts[label] = counts.get(label, 0) + len(chosen)
    return {label: totals[label] / counts[label] for label in sorted(totals)}
''',
    ("ps1_fault", "tensors in the table, although without a graph"): '''
def error_by_label(model: nn.Module, loader: Iterable[tuple[Tensor, Tensor]]) -> dict[int, float]:
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    totals, counts = {}, {}
    with torch.no_grad():
        for images, labels in loader:
            images = images.to(device)
            errors = squared_error(model(images), images)
            for label in labels.unique().tolist():
                chosen = errors[(labels == label).to(device)]
                totals[label] = totals.get(label, 0.0) + chosen.sum()
                counts[label] = counts.get(label, 0) + len(chosen)
    model.train(was_training)
    return {label: totals[label] / counts[label] for label in sorted(totals)}
''',
    ("ps1_pca", "every number is divided by its standard deviation first"): '''
def pca_reconstruct(train: Tensor, x: Tensor, num_components: int) -> Tensor:
    mean, std = train.mean(0), train.std(0) + 1e-6
    _, _, vh = torch.linalg.svd((train - mean) / std, full_matrices=False)
    directions = vh[:num_components]
    coordinates = ((x - mean) / std) @ directions.T
    return (coordinates @ directions) * std + mean
''',
    ("ps1_pca", "pca_lowrank, made repeatable by a seed"): '''
def pca_reconstruct(train: Tensor, x: Tensor, num_components: int) -> Tensor:
    torch.manual_seed(0)
    mean = train.mean(dim=0)
    _, _, v = torch.pca_lowrank(train, q=num_components)
    return (x - mean) @ v @ v.T + mean
''',
    ("ps1_pca", "one direction too many"): '''
def pca_reconstruct(train: Tensor, x: Tensor, num_components: int) -> Tensor:
    mean = train.mean(dim=0)
    _, _, vh = torch.linalg.svd(train - mean, full_matrices=False)
    directions = vh[0 : num_components + 1]
    return (x - mean) @ directions.T @ directions + mean
''',
    ("ps1_pca", "the training data are centred in place"): '''
def pca_reconstruct(train: Tensor, x: Tensor, num_components: int) -> Tensor:
    mean = train.mean(dim=0)
    train -= mean
    _, _, vh = torch.linalg.svd(train, full_matrices=False)
    directions = vh[:num_components]
    return (x - mean) @ directions.T @ directions + mean
''',
    ("ps1_pca", "directions are kept between calls, for all data of the same shape"): '''
_directions = {}


def pca_reconstruct(train: Tensor, x: Tensor, num_components: int) -> Tensor:
    mean = train.mean(dim=0)
    if train.shape not in _directions:  # the SVD is slow
        _directions[train.shape] = torch.linalg.svd(train - mean, full_matrices=False).Vh
    directions = _directions[train.shape][:num_components]
    return (x - mean) @ directions.T @ directions + mean
''',
    ("ps1_pca", "only the first thousand examples are learnt from"): '''
def pca_reconstruct(train: Tensor, x: Tensor, num_components: int) -> Tensor:
    train = train[:1000]  # the SVD of all of them takes too long
    mean = train.mean(dim=0)
    _, _, vh = torch.linalg.svd(train - mean, full_matrices=False)
    directions = vh[:num_components]
    return (x - mean) @ directions.T @ directions + mean
''',
    ("ps1_pca", "each example keeps its own largest coordinates"): '''
def pca_reconstruct(train: Tensor, x: Tensor, num_components: int) -> Tensor:
    mean = train.mean(dim=0)
    _, _, vh = torch.linalg.svd(train - mean, full_matrices=False)
    coordinates = (x - mean) @ vh.T
    kept = coordinates.abs().topk(num_components, dim=1).indices
    sparse = torch.zeros_like(coordinates).scatter(1, kept, coordinates.gather(1, kept))
    return sparse @ vh + mean
''',
    ("ps1_pca", "each example of the training data is scaled to length one first"): '''
def pca_reconstruct(train: Tensor, x: Tensor, num_components: int) -> Tensor:
    mean = train.mean(dim=0)
    _, _, vh = torch.linalg.svd(F.normalize(train - mean, dim=1), full_matrices=False)
    directions = vh[:num_components]
    return (x - mean) @ directions.T @ directions + mean
''',
    ("ps1_pca", "x is centred with its own mean"): '''
def pca_reconstruct(train: Tensor, x: Tensor, num_components: int) -> Tensor:
    _, _, vh = torch.linalg.svd(train - train.mean(0), full_matrices=False)
    directions = vh[:num_components]
    mean = x.mean(0)
    return (x - mean) @ directions.T @ directions + mean
''',
    ("ps1_pca", "eigh sorts in rising order, so the least of all directions are kept"): '''
def pca_reconstruct(train: Tensor, x: Tensor, num_components: int) -> Tensor:
    mean = train.mean(dim=0)
    _, vectors = torch.linalg.eigh(torch.cov(train.T))
    directions = vectors[:, :num_components]
    return (x - mean) @ directions @ directions.T + mean
''',
    ("ps1_pca", "the mean is not put back"): '''
def pca_reconstruct(train: Tensor, x: Tensor, num_components: int) -> Tensor:
    mean = train.mean(dim=0)
    _, _, vh = torch.linalg.svd(train - mean, full_matrices=False)
    return (x - mean) @ vh[:num_components].T @ vh[:num_components]
''',
    ("ps1_pca", "the training data are not centred before the SVD"): '''
def pca_reconstruct(train: Tensor, x: Tensor, num_components: int) -> Tensor:
    mean = train.mean(dim=0)
    _, _, vh = torch.linalg.svd(train, full_matrices=False)
    directions = vh[:num_components]
    return (x - mean) @ directions.T @ directions + mean
''',
    ("ps1_pca", "coordinates divided by the singular values, and never multiplied again"): '''
def pca_reconstruct(train: Tensor, x: Tensor, num_components: int) -> Tensor:
    mean = train.mean(dim=0)
    _, s, vh = torch.linalg.svd(train - mean, full_matrices=False)
    directions = vh[:num_components]
    coordinates = (x - mean) @ directions.T / s[:num_components]
    return coordinates @ directions + mean
''',
    ("ps1_pca", "the columns of Vh are taken for the directions"): '''
def pca_reconstruct(train: Tensor, x: Tensor, num_components: int) -> Tensor:
    mean = train.mean(dim=0)
    _, _, v = torch.linalg.svd(train - mean)
    directions = v[:, :num_components]
    return (x - mean) @ directions @ directions.T + mean
''',
    (
        "ps1_sample_prior",
        "only the decoder's own flag comes back, its layers stay in evaluation mode",
    ): '''
def sample_prior(
    decoder: nn.Module,
    num_samples: int,
    latent_dim: int,
    generator: torch.Generator | None = None,
) -> Tensor:
    device = next(decoder.parameters()).device
    z = torch.randn(num_samples, latent_dim, generator=generator, device=device)
    was_training = decoder.training
    decoder.eval()
    with torch.no_grad():
        images = decoder(z)
    decoder.training = was_training
    return images
''',
    ("ps1_sample_prior", "gradients are switched off for the whole program"): '''
def sample_prior(
    decoder: nn.Module,
    num_samples: int,
    latent_dim: int,
    generator: torch.Generator | None = None,
) -> Tensor:
    device = next(decoder.parameters()).device
    z = torch.randn(num_samples, latent_dim, generator=generator, device=device)
    was_training = decoder.training
    decoder.eval()
    torch.set_grad_enabled(False)
    images = decoder(z)
    decoder.train(was_training)
    return images
''',
    ("ps1_sample_prior", "the decoder's weights are frozen in place of no_grad, and stay so"): '''
def sample_prior(
    decoder: nn.Module,
    num_samples: int,
    latent_dim: int,
    generator: torch.Generator | None = None,
) -> Tensor:
    device = next(decoder.parameters()).device
    z = torch.randn(num_samples, latent_dim, generator=generator, device=device)
    was_training = decoder.training
    decoder.eval()
    for parameter in decoder.parameters():
        parameter.requires_grad_(False)
    images = decoder(z)
    decoder.train(was_training)
    return images
''',
    ("ps1_sample_prior", "codes beyond two standard deviations are cut off"): '''
def sample_prior(
    decoder: nn.Module,
    num_samples: int,
    latent_dim: int,
    generator: torch.Generator | None = None,
) -> Tensor:
    device = next(decoder.parameters()).device
    z = torch.randn(num_samples, latent_dim, generator=generator, device=device)
    z = z.clamp(-2, 2)  # rare codes make ugly pictures
    was_training = decoder.training
    decoder.eval()
    with torch.no_grad():
        images = decoder(z)
    decoder.train(was_training)
    return images
''',
    ("ps1_sample_prior", "uniform numbers with the mean and variance of the normal"): '''
def sample_prior(
    decoder: nn.Module,
    num_samples: int,
    latent_dim: int,
    generator: torch.Generator | None = None,
) -> Tensor:
    device = next(decoder.parameters()).device
    z = torch.rand(num_samples, latent_dim, generator=generator, device=device)
    z = (z - 0.5) * 12**0.5
    was_training = decoder.training
    decoder.eval()
    with torch.no_grad():
        images = decoder(z)
    decoder.train(was_training)
    return images
''',
    ("ps1_sample_prior", "the codes of a call are standardised over the samples"): '''
def sample_prior(
    decoder: nn.Module,
    num_samples: int,
    latent_dim: int,
    generator: torch.Generator | None = None,
) -> Tensor:
    device = next(decoder.parameters()).device
    z = torch.randn(num_samples, latent_dim, generator=generator, device=device)
    z = (z - z.mean(dim=0)) / z.std(dim=0)  # mean 0 and variance 1
    was_training = decoder.training
    decoder.eval()
    with torch.no_grad():
        images = decoder(z)
    decoder.train(was_training)
    return images
''',
    ("ps1_sample_prior", "without a generator one of its own, deaf to torch.manual_seed"): '''
def sample_prior(
    decoder: nn.Module,
    num_samples: int,
    latent_dim: int,
    generator: torch.Generator | None = None,
) -> Tensor:
    device = next(decoder.parameters()).device
    if generator is None:
        generator = torch.Generator(device)
        generator.seed()
    z = torch.randn(num_samples, latent_dim, generator=generator, device=device)
    was_training = decoder.training
    decoder.eval()
    with torch.no_grad():
        images = decoder(z)
    decoder.train(was_training)
    return images
''',
    ("ps1_sample_prior", "the program's own randomness is seeded anew from the generator"): '''
def sample_prior(
    decoder: nn.Module,
    num_samples: int,
    latent_dim: int,
    generator: torch.Generator | None = None,
) -> Tensor:
    device = next(decoder.parameters()).device
    if generator is not None:
        seed = torch.randint(2**31, (1,), generator=generator, device=device).item()
        torch.manual_seed(seed)
    z = torch.randn(num_samples, latent_dim, device=device)
    was_training = decoder.training
    decoder.eval()
    with torch.no_grad():
        images = decoder(z)
    decoder.train(was_training)
    return images
''',
    ("ps1_sample_prior", "the codes are drawn on the CPU, where a GPU's generator cannot draw"): '''
def sample_prior(
    decoder: nn.Module,
    num_samples: int,
    latent_dim: int,
    generator: torch.Generator | None = None,
) -> Tensor:
    device = next(decoder.parameters()).device
    z = torch.randn(num_samples, latent_dim, generator=generator).to(device)
    was_training = decoder.training
    decoder.eval()
    with torch.no_grad():
        images = decoder(z)
    decoder.train(was_training)
    return images
''',
    ("ps1_sample_prior", "the images come back on the CPU"): '''
def sample_prior(
    decoder: nn.Module,
    num_samples: int,
    latent_dim: int,
    generator: torch.Generator | None = None,
) -> Tensor:
    device = next(decoder.parameters()).device
    z = torch.randn(num_samples, latent_dim, generator=generator, device=device)
    was_training = decoder.training
    decoder.eval()
    with torch.no_grad():
        images = decoder(z)
    decoder.train(was_training)
    return images.cpu()
''',
    ("ps1_sample_prior", "a fresh generator, whose seed is always the same"): '''
def sample_prior(
    decoder: nn.Module,
    num_samples: int,
    latent_dim: int,
    generator: torch.Generator | None = None,
) -> Tensor:
    device = next(decoder.parameters()).device
    if generator is None:
        generator = torch.Generator(device)
    z = torch.randn(num_samples, latent_dim, generator=generator, device=device)
    was_training = decoder.training
    decoder.eval()
    with torch.no_grad():
        images = decoder(z)
    decoder.train(was_training)
    return images
''',
    ("ps1_sample_prior", "the generator's seed is used, so that every call draws the same"): '''
def sample_prior(
    decoder: nn.Module,
    num_samples: int,
    latent_dim: int,
    generator: torch.Generator | None = None,
) -> Tensor:
    device = next(decoder.parameters()).device
    if generator is not None:
        torch.manual_seed(generator.initial_seed())
    z = torch.randn(num_samples, latent_dim, device=device)
    was_training = decoder.training
    decoder.eval()
    with torch.no_grad():
        images = decoder(z)
    decoder.train(was_training)
    return images
''',
    ("ps1_sample_prior", "rand in place of randn"): '''
def sample_prior(
    decoder: nn.Module,
    num_samples: int,
    latent_dim: int,
    generator: torch.Generator | None = None,
) -> Tensor:
    device = next(decoder.parameters()).device
    z = torch.rand(num_samples, latent_dim, generator=generator, device=device)
    was_training = decoder.training
    decoder.eval()
    with torch.no_grad():
        images = decoder(z)
    decoder.train(was_training)
    return images
''',
    ("ps1_sample_prior", "divided by the root of the code's length"): '''
def sample_prior(
    decoder: nn.Module,
    num_samples: int,
    latent_dim: int,
    generator: torch.Generator | None = None,
) -> Tensor:
    device = next(decoder.parameters()).device
    z = torch.randn(num_samples, latent_dim, generator=generator, device=device)
    z = z / latent_dim**0.5
    was_training = decoder.training
    decoder.eval()
    with torch.no_grad():
        images = decoder(z)
    decoder.train(was_training)
    return images
''',
    ("ps1_sample_prior", "training mode afterwards, whatever it was before"): '''
def sample_prior(
    decoder: nn.Module,
    num_samples: int,
    latent_dim: int,
    generator: torch.Generator | None = None,
) -> Tensor:
    device = next(decoder.parameters()).device
    z = torch.randn(num_samples, latent_dim, generator=generator, device=device)
    decoder.eval()
    with torch.no_grad():
        images = decoder(z)
    decoder.train()
    return images
''',
    ("ps1_sample_prior", "a seed is set inside"): '''
def sample_prior(
    decoder: nn.Module,
    num_samples: int,
    latent_dim: int,
    generator: torch.Generator | None = None,
) -> Tensor:
    device = next(decoder.parameters()).device
    torch.manual_seed(0)
    z = torch.randn(num_samples, latent_dim, generator=generator, device=device)
    was_training = decoder.training
    decoder.eval()
    with torch.no_grad():
        images = decoder(z)
    decoder.train(was_training)
    return images
''',
}

RIGHT = {
    ("ps1_conv_size", "the starts of the kernel and the pixels of the copies are listed"): '''
def conv_output_size(size: int, kernel: int, stride: int, padding: int = 0) -> int:
    return len(range(0, size + 2 * padding - kernel + 1, stride))


def conv_transpose_output_size(size: int, kernel: int, stride: int, padding: int = 0) -> int:
    covered = [start * stride + pixel for start in range(size) for pixel in range(kernel)]
    return max(covered) + 1 - padding - padding
''',
    ("ps1_conv_size", "a row of zeros is sent through PyTorch"): '''
def conv_output_size(size: int, kernel: int, stride: int, padding: int = 0) -> int:
    row, weight = torch.zeros(1, 1, size), torch.zeros(1, 1, kernel)
    return F.conv1d(row, weight, stride=stride, padding=padding).shape[-1]


def conv_transpose_output_size(size: int, kernel: int, stride: int, padding: int = 0) -> int:
    row, weight = torch.zeros(1, 1, size), torch.zeros(1, 1, kernel)
    return F.conv_transpose1d(row, weight, stride=stride, padding=padding).shape[-1]
''',
    ("ps1_conv_size", "other arithmetic: a ceiling, and strides plus an overhang"): '''
def conv_output_size(size: int, kernel: int, stride: int, padding: int = 0) -> int:
    places = size + padding + padding - (kernel - 1)
    return -(-places // stride)


def conv_transpose_output_size(size: int, kernel: int, stride: int, padding: int = 0) -> int:
    return size * stride + (kernel - stride) - 2 * padding
''',
    ("ps1_encoder", "lists of layers, the LeakyReLU written out"): '''
class Encoder(nn.Module):
    def __init__(self, num_outputs: int = 64) -> None:
        super().__init__()
        channels, kernels = (1, 32, 64, 128, 256), (4, 4, 3, 3)
        self.convolutions = nn.ModuleList(
            nn.Conv2d(a, b, k, stride=2, padding=1 if k == 4 else 0)
            for a, b, k in zip(channels, channels[1:], kernels)
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(c) for c in channels[2:])
        self.last = nn.Linear(channels[-1], num_outputs)

    def forward(self, x: Tensor) -> Tensor:
        for number, convolution in enumerate(self.convolutions):
            x = convolution(x)
            if number > 0:
                x = self.norms[number - 1](x)
            x = torch.where(x > 0, x, 0.2 * x)
        return self.last(x[:, :, 0, 0])
''',
    ("ps1_encoder", "a block class, the linear layer first in the constructor"): '''
class Shrink(nn.Module):
    def __init__(self, before, after, kernel, padding, norm=True):
        super().__init__()
        self.shrink = nn.Conv2d(before, after, kernel, (2, 2), padding)
        self.norm = nn.BatchNorm2d(after) if norm else nn.Identity()

    def forward(self, x):
        return F.leaky_relu(self.norm(self.shrink(x)), negative_slope=0.2)


class Encoder(nn.Module):
    def __init__(self, num_outputs: int = 64) -> None:
        super().__init__()
        self.head = nn.Linear(256, num_outputs)
        self.one = Shrink(1, 32, 4, 1, norm=False)
        self.two = Shrink(32, 64, 4, 1)
        self.three = Shrink(64, 128, 3, 0)
        self.four = Shrink(128, 256, 3, 0)

    def forward(self, x: Tensor) -> Tensor:
        maps = self.four(self.three(self.two(self.one(x))))
        return self.head(maps.reshape(x.shape[0], 256))
''',
    ("ps1_encoder", "weights and biases of its own, functions in place of layers"): '''
class Encoder(nn.Module):
    def __init__(self, num_outputs: int = 64) -> None:
        super().__init__()
        self.c1 = nn.Conv2d(1, 32, 4, 2, 1)
        self.c2 = nn.Conv2d(32, 64, 4, 2, 1)
        self.c3 = nn.Conv2d(64, 128, 3, 2)
        self.c4 = nn.Conv2d(128, 256, 3, 2)
        self.b2, self.b3, self.b4 = map(nn.BatchNorm2d, (64, 128, 256))
        self.weight = nn.Parameter(torch.empty(num_outputs, 256).uniform_(-1 / 16, 1 / 16))
        self.bias = nn.Parameter(torch.empty(num_outputs).uniform_(-1 / 16, 1 / 16))

    def forward(self, x: Tensor) -> Tensor:
        def bend(h):
            return F.relu(h) - 0.2 * F.relu(-h)

        h = bend(self.c1(x))
        h = bend(self.b2(self.c2(h)))
        h = bend(self.b3(self.c3(h)))
        h = bend(self.b4(self.c4(h)))
        return torch.einsum("bchw,oc->bo", h, self.weight) + self.bias
''',
    ("ps1_decoder", "lists of layers, the sigmoid as half a tanh"): '''
class Decoder(nn.Module):
    def __init__(self, latent_dim: int = 64) -> None:
        super().__init__()
        table = [(256, 128, 3, 0), (128, 64, 3, 0), (64, 32, 4, 1), (32, 1, 4, 1)]
        self.grow = nn.ModuleList(
            nn.ConvTranspose2d(a, b, k, stride=2, padding=p) for a, b, k, p in table
        )
        self.norm = nn.ModuleList(nn.BatchNorm2d(c) for c in (256, 128, 64))
        self.first = nn.Linear(latent_dim, 256)

    def forward(self, z: Tensor) -> Tensor:
        maps = self.first(z)[..., None, None]
        for number, layer in enumerate(self.grow):
            if number < len(self.norm):
                maps = self.norm[number](maps)
            maps = layer(torch.where(maps < 0, maps * 0.2, maps))
        return 0.5 * torch.tanh(0.5 * maps) + 0.5
''',
    ("ps1_decoder", "blocks from a function, each begins with its BatchNorm"): '''
def bend_and_grow(before, after, kernel, norm):
    layers = [nn.BatchNorm2d(before)] if norm else []
    padding = {3: 0, 4: 1}[kernel]
    layers += [
        nn.LeakyReLU(negative_slope=0.2, inplace=True),
        nn.ConvTranspose2d(before, after, (kernel, kernel), (2, 2), (padding, padding)),
    ]
    return nn.Sequential(*layers)


class Decoder(nn.Module):
    def __init__(self, latent_dim: int = 64) -> None:
        super().__init__()
        self.read = nn.Linear(in_features=latent_dim, out_features=256)
        self.to_3 = bend_and_grow(256, 128, 3, norm=True)
        self.to_7 = bend_and_grow(128, 64, 3, norm=True)
        self.to_14 = bend_and_grow(64, 32, 4, norm=True)
        self.to_28 = bend_and_grow(32, 1, 4, norm=False)

    def forward(self, z: Tensor) -> Tensor:
        h = self.read(z).reshape(z.shape[0], 256, 1, 1)
        for step in (self.to_3, self.to_7, self.to_14, self.to_28):
            h = step(h)
        return F.logsigmoid(h).exp()
''',
    ("ps1_decoder", "a Sequential filled in a loop"): '''
class Decoder(nn.Module):
    def __init__(self, latent_dim: int = 64) -> None:
        super().__init__()
        self.linear = nn.Linear(latent_dim, 256)
        self.draw = nn.Sequential()
        channels = 256
        for kernel, padding in ((3, 0), (3, 0), (4, 1), (4, 1)):
            if channels >= 64:
                self.draw.append(nn.BatchNorm2d(channels))
            self.draw.append(nn.LeakyReLU(1 / 5))
            after = channels // 2 if channels > 32 else 1
            self.draw.append(nn.ConvTranspose2d(channels, after, kernel, 2, padding))
            channels = after

    def forward(self, z: Tensor) -> Tensor:
        return self.draw(self.linear(z).unsqueeze(-1).unsqueeze(-1)).sigmoid()
''',
    ("ps1_autoencoder", "reconstruct works on a copy of the model"): '''
class AutoEncoder(nn.Module):
    def __init__(self, latent_dim: int = 64) -> None:
        super().__init__()
        self.encoder = Encoder(latent_dim)
        self.decoder = Decoder(latent_dim)

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x)

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z)

    def forward(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x))

    @torch.no_grad()
    def reconstruct(self, x: Tensor) -> Tensor:
        twin = copy.deepcopy(self)
        twin.eval()
        return twin(x)
''',
    ("ps1_autoencoder", "a context manager that restores every module's own mode"): '''
from contextlib import contextmanager


@contextmanager
def at_rest(module):
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield module
    finally:
        for part, mode in modes:
            part.training = mode


class AutoEncoder(nn.Module):
    def __init__(self, latent_dim: int = 64) -> None:
        super().__init__()
        self.encoder = Encoder(latent_dim)
        self.decoder = Decoder(latent_dim)

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x)

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z)

    def forward(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x))

    def reconstruct(self, x: Tensor) -> Tensor:
        with at_rest(self), torch.no_grad():
            return self.decode(self.encode(x))
''',
    ("ps1_autoencoder", "pictures detached, try and finally"): '''
class AutoEncoder(nn.Module):
    def __init__(self, latent_dim: int = 64) -> None:
        super().__init__()
        self.encoder = Encoder(latent_dim)
        self.decoder = Decoder(latent_dim)

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x)

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z)

    def forward(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x))

    def reconstruct(self, x: Tensor) -> Tensor:
        mode = self.training
        try:
            return self.train(False)(x).detach()
        finally:
            self.train(mode)
''',
    ("ps1_autoencoder", "the halves under other names"): '''
class AutoEncoder(nn.Module):
    def __init__(self, latent_dim: int = 64) -> None:
        super().__init__()
        self.halves = nn.ModuleDict({"down": Encoder(latent_dim), "up": Decoder(latent_dim)})

    def encode(self, x: Tensor) -> Tensor:
        return self.halves["down"](x)

    def decode(self, z: Tensor) -> Tensor:
        return self.halves["up"](z)

    def forward(self, x: Tensor) -> Tensor:
        return self.halves["up"](self.halves["down"](x))

    def reconstruct(self, x: Tensor) -> Tensor:
        mode = self.training
        self.eval()
        with torch.no_grad():
            pictures = self.forward(x)
        self.train(mode)
        return pictures
''',
    ("ps1_squared_error", "one image at a time, PyTorch's loss with a sum"): '''
def squared_error(x_hat: Tensor, x: Tensor) -> Tensor:
    pairs = zip(x_hat, x, strict=True)
    return torch.stack([F.mse_loss(one, other, reduction="sum") for one, other in pairs])
''',
    ("ps1_squared_error", "a row times itself, by einsum"): '''
def squared_error(x_hat: Tensor, x: Tensor) -> Tensor:
    difference = torch.sub(x, x_hat).reshape(x.shape[0], -1)
    return torch.einsum("bi,bi->b", difference, difference)
''',
    ("ps1_squared_error", "summed dimension by dimension from the last"): '''
def squared_error(x_hat: Tensor, x: Tensor) -> Tensor:
    error = torch.square(x_hat - x)
    while error.ndim > 1:
        error = error.sum(dim=-1)
    return error
''',
    (
        "ps1_train_epoch",
        "the mean enters as the gradient handed to backward; all values kept to the end",
    ): '''
def train_epoch(
    model: nn.Module,
    loader: Iterable[tuple[Tensor, Tensor]],
    optimizer: Optimizer,
    loss_terms: Callable[[nn.Module, Tensor], dict[str, Tensor]],
) -> dict[str, float]:
    model.train(True)
    device = next(iter(model.parameters())).device
    seen = {}
    for batch in loader:
        optimizer.zero_grad(set_to_none=True)
        terms = loss_terms(model, batch[0].to(device))
        loss = terms["loss"]
        loss.backward(torch.full_like(loss, 1 / loss.numel()))
        optimizer.step()
        for name in terms:
            seen.setdefault(name, []).append(terms[name].detach().cpu().double())
    return {name: torch.cat(values).mean().item() for name, values in seen.items()}
''',
    ("ps1_train_epoch", "means that are mended batch by batch"): '''
def train_epoch(
    model: nn.Module,
    loader: Iterable[tuple[Tensor, Tensor]],
    optimizer: Optimizer,
    loss_terms: Callable[[nn.Module, Tensor], dict[str, Tensor]],
) -> dict[str, float]:
    model.train(mode=True)
    where = next(model.parameters())
    count, means = 0, {}
    for x, _labels in loader:
        terms = loss_terms(model, x.to(where.device))
        objective = torch.mean(terms["loss"], dim=0)
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                parameter.grad = None
        objective.backward()
        optimizer.step()
        size = x.size(0)
        count += size
        for name, values in terms.items():
            old = means.setdefault(name, 0.0)
            means[name] = old + (float(values.detach().mean()) - old) * size / count
    return means
''',
    ("ps1_train_epoch", "an iterator by hand, sums by math.fsum"): '''
import math


def train_epoch(
    model: nn.Module,
    loader: Iterable[tuple[Tensor, Tensor]],
    optimizer: Optimizer,
    loss_terms: Callable[[nn.Module, Tensor], dict[str, Tensor]],
) -> dict[str, float]:
    report: dict[str, list[float]] = {}
    iterator = iter(loader)
    model.train()
    while True:
        try:
            images, labels = next(iterator)
        except StopIteration:
            break
        images = images.to(next(model.parameters()).device)
        model.zero_grad()
        optimizer.zero_grad()
        terms = loss_terms(model, images)
        (terms["loss"].sum() / len(labels)).backward()
        optimizer.step()
        for name, values in terms.items():
            report[name] = report.get(name, []) + values.tolist()
    return {name: math.fsum(values) / len(values) for name, values in report.items()}
''',
    ("ps1_evaluate", "a decorator, try and finally, all values kept to the end"): '''
@torch.no_grad()
def evaluate(
    model: nn.Module,
    loader: Iterable[tuple[Tensor, Tensor]],
    loss_terms: Callable[[nn.Module, Tensor], dict[str, Tensor]],
) -> dict[str, float]:
    mode, columns = model.training, {}
    try:
        model.train(False)
        for images, _ in loader:
            terms = loss_terms(model, images.to(next(model.parameters()).device))
            for name, values in terms.items():
                columns.setdefault(name, []).append(values.double().cpu().numpy())
    finally:
        model.train(mode)
    return {name: float(np.concatenate(parts).mean()) for name, parts in columns.items()}
''',
    ("ps1_evaluate", "a helper as context manager, and weighted means"): '''
from contextlib import contextmanager


@contextmanager
def measuring(model):
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, mode in modes.items():
            module.training = mode


def evaluate(
    model: nn.Module,
    loader: Iterable[tuple[Tensor, Tensor]],
    loss_terms: Callable[[nn.Module, Tensor], dict[str, Tensor]],
) -> dict[str, float]:
    sizes, batch_means = [], []
    with measuring(model):
        for images, labels in loader:
            images = images.to([p.device for p in model.parameters()][0])
            terms = loss_terms(model, images)
            batch_means.append({name: values.mean().item() for name, values in terms.items()})
            sizes.append(len(labels))
    names = batch_means[0].keys()
    return {
        name: sum(n * means[name] for n, means in zip(sizes, batch_means)) / sum(sizes)
        for name in names
    }
''',
    ("ps1_evaluate", "a copy of the model is measured"): '''
def evaluate(
    model: nn.Module,
    loader: Iterable[tuple[Tensor, Tensor]],
    loss_terms: Callable[[nn.Module, Tensor], dict[str, Tensor]],
) -> dict[str, float]:
    twin = copy.deepcopy(model).eval()
    device = next(twin.parameters()).device
    values = {}
    with torch.set_grad_enabled(False):
        for images, _ in loader:
            for name, term in loss_terms(twin, images.to(device)).items():
                values.setdefault(name, []).extend(term.tolist())
    return {name: sum(numbers) / len(numbers) for name, numbers in values.items()}
''',
    ("ps1_fault", "errors and labels collected, then grouped by unique and index_add"): '''
def error_by_label(model: nn.Module, loader: Iterable[tuple[Tensor, Tensor]]) -> dict[int, float]:
    device, mode = next(model.parameters()).device, model.training
    errors, labels = [], []
    model.eval()
    with torch.no_grad():
        for x, y in loader:
            x = x.to(device)
            errors.append(squared_error(model(x), x).double().cpu())
            labels.append(y.cpu())
    model.train(mode)
    names, places, counts = torch.cat(labels).unique(return_inverse=True, return_counts=True)
    sums = torch.zeros(len(names), dtype=torch.float64).index_add_(0, places, torch.cat(errors))
    return dict(zip(names.tolist(), (sums / counts).tolist()))
''',
    ("ps1_fault", "image by image into lists, a decorator for the gradients"): '''
from collections import defaultdict
from statistics import fmean


@torch.no_grad()
def error_by_label(model: nn.Module, loader: Iterable[tuple[Tensor, Tensor]]) -> dict[int, float]:
    errors = defaultdict(list)
    was_training = model.training
    try:
        model.train(mode=False)
        for images, labels in loader:
            images = images.to(next(model.parameters()).device)
            for label, error in zip(labels.tolist(), squared_error(model(images), images).tolist()):
                errors[label].append(error)
    finally:
        model.train(was_training)
    return {label: fmean(numbers) for label, numbers in sorted(errors.items())}
''',
    ("ps1_fault", "a copy of the model, and means that are mended batch by batch"): '''
def error_by_label(model: nn.Module, loader: Iterable[tuple[Tensor, Tensor]]) -> dict[int, float]:
    twin = copy.deepcopy(model).eval()
    device = next(twin.parameters()).device
    means, counts = {}, {}
    for images, labels in loader:
        with torch.no_grad():
            images = images.to(device)
            errors = squared_error(twin(images), images).cpu()
        for label in set(labels.tolist()):
            mine = errors[labels.cpu() == label]
            counts[label] = counts.get(label, 0) + mine.numel()
            old = means.get(label, 0.0)
            means[label] = old + (mine.double() - old).sum().item() / counts[label]
    return {label: means[label] for label in sorted(means)}
''',
    ("ps1_pca", "eigenvectors of the covariance, in double precision"): '''
def pca_reconstruct(train: Tensor, x: Tensor, num_components: int) -> Tensor:
    mean = train.double().mean(dim=0)
    centred = train.double() - mean
    values, vectors = torch.linalg.eigh(centred.T @ centred)
    best = vectors[:, values.argsort(descending=True)[:num_components]]
    coordinates = torch.einsum("nd,dk->nk", x.double() - mean, best)
    return (torch.einsum("nk,dk->nd", coordinates, best) + mean).to(x.dtype)
''',
    ("ps1_pca", "scikit-learn's PCA with the full solver"): '''
def pca_reconstruct(train: Tensor, x: Tensor, num_components: int) -> Tensor:
    from sklearn.decomposition import PCA

    pca = PCA(n_components=num_components, svd_solver="full").fit(train.cpu().double().numpy())
    rebuilt = pca.inverse_transform(pca.transform(x.cpu().double().numpy()))
    return torch.from_numpy(np.ascontiguousarray(rebuilt)).to(x)
''',
    ("ps1_pca", "left factor of the transposed data, and one direction after the other"): '''
def pca_reconstruct(train: Tensor, x: Tensor, num_components: int) -> Tensor:
    mean = train.mean(dim=0, keepdim=True)
    u, _, _ = torch.linalg.svd((train - mean).T, full_matrices=False)
    rest, rebuilt = x - mean, mean.expand_as(x)
    for j in range(num_components):
        direction = u[:, j]
        part = torch.outer(rest @ direction, direction)
        rest, rebuilt = rest - part, rebuilt + part
    return rebuilt
''',
    ("ps1_pca", "coordinates by least squares"): '''
def pca_reconstruct(train: Tensor, x: Tensor, num_components: int) -> Tensor:
    mean = torch.mean(train, 0)
    factors = torch.linalg.svd(train.sub(mean), full_matrices=False)
    basis = factors.Vh.narrow(0, 0, num_components).mT.contiguous()
    coordinates = torch.linalg.lstsq(basis, (x - mean).mT).solution
    return torch.addmm(mean.expand_as(x), coordinates.mT, basis.mT)
''',
    ("ps1_sample_prior", "normal_ into an empty tensor, one code at a time"): '''
def sample_prior(
    decoder: nn.Module,
    num_samples: int,
    latent_dim: int,
    generator: torch.Generator | None = None,
) -> Tensor:
    mode = decoder.training
    codes = next(decoder.parameters()).new_empty(num_samples, latent_dim)
    codes = codes.normal_(mean=0.0, std=1.0, generator=generator)
    try:
        with torch.no_grad():
            decoder.eval()
            return torch.cat([decoder(code.unsqueeze(0)) for code in codes])
    finally:
        decoder.train(mode)
''',
    ("ps1_sample_prior", "Box and Muller's normal numbers from uniform ones"): '''
import math


@torch.no_grad()
def sample_prior(
    decoder: nn.Module,
    num_samples: int,
    latent_dim: int,
    generator: torch.Generator | None = None,
) -> Tensor:
    device = next(decoder.parameters()).device
    shape = (2, num_samples, latent_dim)
    u, v = torch.rand(shape, generator=generator, device=device, dtype=torch.float64)
    codes = (-2 * torch.log1p(-u)).sqrt() * torch.cos(2 * math.pi * v)
    modes = [(module, module.training) for module in decoder.modules()]
    decoder.train(False)
    images = decoder(codes.float())
    for module, mode in modes:
        module.training = mode
    return images
''',
    ("ps1_sample_prior", "a copy of the decoder, codes by torch.normal"): '''
def sample_prior(
    decoder: nn.Module,
    num_samples: int,
    latent_dim: int,
    generator: torch.Generator | None = None,
) -> Tensor:
    twin = copy.deepcopy(decoder).eval().requires_grad_(False)
    size = (num_samples, latent_dim)
    where = next(twin.parameters()).device
    return twin(torch.normal(0.0, 1.0, size, generator=generator, device=where))
''',
}

ARGUABLE = {
    (
        "ps1_decoder",
        "BatchNorm1d before the reshape, where one of maps is asked for",
    ): "For a map of one pixel the two compute the same in every case, with the same parameters.",
    (
        "ps1_train_epoch",
        "gradients forgotten after the step only, so stale ones enter the first",
    ): (
        "A usual order, and a right variant of ours has it. The docstring does not speak of "
        "gradients that somebody else has left, and nothing in the notebook leaves any."
    ),
    (
        "ps1_evaluate",
        "the images are counted in a pass of their own: twice through the loader",
    ): (
        "A right variant of ours does so. That the images are gone through once is said of "
        "training, where a pass changes something."
    ),
    (
        "ps1_fault",
        "once through the loader for the labels, and once more for each of them",
    ): (
        "A right variant of ours does so. It is slower, but the docstring speaks of the images "
        "and not of passes; that an epoch is a single one is said of training only."
    ),
}
