"""Answers to ps4, written by someone who saw only the student's notebook."""

WRONG = {
    ("ps4_padding", "an odd number of zeros goes after the line altogether, 3 is (0, 3)"): '''
def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    outputs = -(-size // stride)
    total = max((outputs - 1) * stride + kernel - size, 0)
    if total % 2 == 1:
        return 0, total  # the odd one goes after
    return total // 2, total // 2


class SameConv2d(nn.Conv2d):
    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, stride: int = 1):
        super().__init__(in_channels, out_channels, kernel_size, stride)

    def forward(self, x: Tensor) -> Tensor:
        top, bottom = same_padding(x.shape[2], self.kernel_size[0], self.stride[0])
        left, right = same_padding(x.shape[3], self.kernel_size[1], self.stride[1])
        return super().forward(F.pad(x, (left, right, top, bottom)))


class SameConvTranspose2d(nn.ConvTranspose2d):
    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, stride: int = 1):
        super().__init__(in_channels, out_channels, kernel_size, stride)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2] * self.stride[0], x.shape[3] * self.stride[1]
        top, _ = same_padding(height, self.kernel_size[0], self.stride[0])
        left, _ = same_padding(width, self.kernel_size[1], self.stride[1])
        spread = super().forward(x)
        return spread[:, :, top : top + height, left : left + width]
''',
    ("ps4_padding", "negative where the stride does not divide the size"): '''
def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    if size % stride == 0:
        total = max(kernel - stride, 0)
    else:
        total = kernel - size % stride
    return total // 2, total - total // 2


class SameConv2d(nn.Conv2d):
    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, stride: int = 1):
        super().__init__(in_channels, out_channels, kernel_size, stride)

    def forward(self, x: Tensor) -> Tensor:
        top, bottom = same_padding(x.shape[2], self.kernel_size[0], self.stride[0])
        left, right = same_padding(x.shape[3], self.kernel_size[1], self.stride[1])
        return super().forward(F.pad(x, (left, right, top, bottom)))


class SameConvTranspose2d(nn.ConvTranspose2d):
    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, stride: int = 1):
        super().__init__(in_channels, out_channels, kernel_size, stride)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2] * self.stride[0], x.shape[3] * self.stride[1]
        top, _ = same_padding(height, self.kernel_size[0], self.stride[0])
        left, _ = same_padding(width, self.kernel_size[1], self.stride[1])
        spread = super().forward(x)
        return spread[:, :, top : top + height, left : left + width]
''',
    ("ps4_padding", "repeats the border instead of zeros"): '''
def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    outputs = -(-size // stride)
    total = max((outputs - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


class SameConv2d(nn.Conv2d):
    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, stride: int = 1):
        super().__init__(in_channels, out_channels, kernel_size, stride)

    def forward(self, x: Tensor) -> Tensor:
        top, bottom = same_padding(x.shape[2], self.kernel_size[0], self.stride[0])
        left, right = same_padding(x.shape[3], self.kernel_size[1], self.stride[1])
        return super().forward(F.pad(x, (left, right, top, bottom), mode="replicate"))


class SameConvTranspose2d(nn.ConvTranspose2d):
    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, stride: int = 1):
        super().__init__(in_channels, out_channels, kernel_size, stride)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2] * self.stride[0], x.shape[3] * self.stride[1]
        top, _ = same_padding(height, self.kernel_size[0], self.stride[0])
        left, _ = same_padding(width, self.kernel_size[1], self.stride[1])
        spread = super().forward(x)
        return spread[:, :, top : top + height, left : left + width]
''',
    ("ps4_padding", "the convolution forgets its bias"): '''
def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    outputs = -(-size // stride)
    total = max((outputs - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


class SameConv2d(nn.Conv2d):
    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, stride: int = 1):
        super().__init__(in_channels, out_channels, kernel_size, stride)

    def forward(self, x: Tensor) -> Tensor:
        top, bottom = same_padding(x.shape[2], self.kernel_size[0], self.stride[0])
        left, right = same_padding(x.shape[3], self.kernel_size[1], self.stride[1])
        x = F.pad(x, (left, right, top, bottom))
        return F.conv2d(x, self.weight, stride=self.stride)


class SameConvTranspose2d(nn.ConvTranspose2d):
    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, stride: int = 1):
        super().__init__(in_channels, out_channels, kernel_size, stride)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2] * self.stride[0], x.shape[3] * self.stride[1]
        top, _ = same_padding(height, self.kernel_size[0], self.stride[0])
        left, _ = same_padding(width, self.kernel_size[1], self.stride[1])
        spread = super().forward(x)
        return spread[:, :, top : top + height, left : left + width]
''',
    ("ps4_padding", "the convolution pads for a kernel of 3 whatever its own"): '''
def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    outputs = -(-size // stride)
    total = max((outputs - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


class SameConv2d(nn.Conv2d):
    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, stride: int = 1):
        super().__init__(in_channels, out_channels, kernel_size, stride)

    def forward(self, x: Tensor) -> Tensor:
        top, bottom = same_padding(x.shape[2], 3, self.stride[0])
        left, right = same_padding(x.shape[3], 3, self.stride[1])
        return super().forward(F.pad(x, (left, right, top, bottom)))


class SameConvTranspose2d(nn.ConvTranspose2d):
    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, stride: int = 1):
        super().__init__(in_channels, out_channels, kernel_size, stride)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2] * self.stride[0], x.shape[3] * self.stride[1]
        top, _ = same_padding(height, self.kernel_size[0], self.stride[0])
        left, _ = same_padding(width, self.kernel_size[1], self.stride[1])
        spread = super().forward(x)
        return spread[:, :, top : top + height, left : left + width]
''',
    ("ps4_padding", "the transposed one crops for a kernel of 3 whatever its own"): '''
def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    outputs = -(-size // stride)
    total = max((outputs - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


class SameConv2d(nn.Conv2d):
    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, stride: int = 1):
        super().__init__(in_channels, out_channels, kernel_size, stride)

    def forward(self, x: Tensor) -> Tensor:
        top, bottom = same_padding(x.shape[2], self.kernel_size[0], self.stride[0])
        left, right = same_padding(x.shape[3], self.kernel_size[1], self.stride[1])
        return super().forward(F.pad(x, (left, right, top, bottom)))


class SameConvTranspose2d(nn.ConvTranspose2d):
    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, stride: int = 1):
        super().__init__(in_channels, out_channels, kernel_size, stride)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2] * self.stride[0], x.shape[3] * self.stride[1]
        top = 1 if self.stride[0] == 1 else 0
        left = 1 if self.stride[1] == 1 else 0
        spread = super().forward(x)
        return spread[:, :, top : top + height, left : left + width]
''',
    ("ps4_padding", "padding worked out at the first call and kept for maps of other sizes"): '''
def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    outputs = -(-size // stride)
    total = max((outputs - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


class SameConv2d(nn.Conv2d):
    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, stride: int = 1):
        super().__init__(in_channels, out_channels, kernel_size, stride)

    def forward(self, x: Tensor) -> Tensor:
        if not hasattr(self, "pads"):
            top, bottom = same_padding(x.shape[2], self.kernel_size[0], self.stride[0])
            left, right = same_padding(x.shape[3], self.kernel_size[1], self.stride[1])
            self.pads = (left, right, top, bottom)
        return super().forward(F.pad(x, self.pads))


class SameConvTranspose2d(nn.ConvTranspose2d):
    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, stride: int = 1):
        super().__init__(in_channels, out_channels, kernel_size, stride)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2] * self.stride[0], x.shape[3] * self.stride[1]
        top, _ = same_padding(height, self.kernel_size[0], self.stride[0])
        left, _ = same_padding(width, self.kernel_size[1], self.stride[1])
        spread = super().forward(x)
        return spread[:, :, top : top + height, left : left + width]
''',
    ("ps4_padding", "the transposed one has no bias"): '''
def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    outputs = -(-size // stride)
    total = max((outputs - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


class SameConv2d(nn.Conv2d):
    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, stride: int = 1):
        super().__init__(in_channels, out_channels, kernel_size, stride)

    def forward(self, x: Tensor) -> Tensor:
        top, bottom = same_padding(x.shape[2], self.kernel_size[0], self.stride[0])
        left, right = same_padding(x.shape[3], self.kernel_size[1], self.stride[1])
        return super().forward(F.pad(x, (left, right, top, bottom)))


class SameConvTranspose2d(nn.ConvTranspose2d):
    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, stride: int = 1):
        super().__init__(in_channels, out_channels, kernel_size, stride)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2] * self.stride[0], x.shape[3] * self.stride[1]
        top, _ = same_padding(height, self.kernel_size[0], self.stride[0])
        left, _ = same_padding(width, self.kernel_size[1], self.stride[1])
        spread = F.conv_transpose2d(x, self.weight, None, self.stride)
        return spread[:, :, top : top + height, left : left + width]
''',
    ("ps4_padding", "height's zeros put left and right"): '''
def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    outputs = -(-size // stride)
    total = max((outputs - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


class SameConv2d(nn.Conv2d):
    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, stride: int = 1):
        super().__init__(in_channels, out_channels, kernel_size, stride)

    def forward(self, x: Tensor) -> Tensor:
        top, bottom = same_padding(x.shape[2], self.kernel_size[0], self.stride[0])
        left, right = same_padding(x.shape[3], self.kernel_size[1], self.stride[1])
        return super().forward(F.pad(x, (top, bottom, left, right)))


class SameConvTranspose2d(nn.ConvTranspose2d):
    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, stride: int = 1):
        super().__init__(in_channels, out_channels, kernel_size, stride)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2] * self.stride[0], x.shape[3] * self.stride[1]
        top, _ = same_padding(height, self.kernel_size[0], self.stride[0])
        left, _ = same_padding(width, self.kernel_size[1], self.stride[1])
        spread = super().forward(x)
        return spread[:, :, top : top + height, left : left + width]
''',
    ("ps4_padding", "the odd zero goes before the line"): '''
def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    outputs = -(-size // stride)
    total = max((outputs - 1) * stride + kernel - size, 0)
    return total - total // 2, total // 2


class SameConv2d(nn.Conv2d):
    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, stride: int = 1):
        super().__init__(in_channels, out_channels, kernel_size, stride)

    def forward(self, x: Tensor) -> Tensor:
        top, bottom = same_padding(x.shape[2], self.kernel_size[0], self.stride[0])
        left, right = same_padding(x.shape[3], self.kernel_size[1], self.stride[1])
        return super().forward(F.pad(x, (left, right, top, bottom)))


class SameConvTranspose2d(nn.ConvTranspose2d):
    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, stride: int = 1):
        super().__init__(in_channels, out_channels, kernel_size, stride)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2] * self.stride[0], x.shape[3] * self.stride[1]
        top, _ = same_padding(height, self.kernel_size[0], self.stride[0])
        left, _ = same_padding(width, self.kernel_size[1], self.stride[1])
        spread = super().forward(x)
        return spread[:, :, top : top + height, left : left + width]
''',
    ("ps4_padding", "the transposed one keeps the end and cuts off the beginning"): '''
def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    outputs = -(-size // stride)
    total = max((outputs - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


class SameConv2d(nn.Conv2d):
    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, stride: int = 1):
        super().__init__(in_channels, out_channels, kernel_size, stride)

    def forward(self, x: Tensor) -> Tensor:
        top, bottom = same_padding(x.shape[2], self.kernel_size[0], self.stride[0])
        left, right = same_padding(x.shape[3], self.kernel_size[1], self.stride[1])
        return super().forward(F.pad(x, (left, right, top, bottom)))


class SameConvTranspose2d(nn.ConvTranspose2d):
    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, stride: int = 1):
        super().__init__(in_channels, out_channels, kernel_size, stride)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2] * self.stride[0], x.shape[3] * self.stride[1]
        top, _ = same_padding(height, self.kernel_size[0], self.stride[0])
        left, _ = same_padding(width, self.kernel_size[1], self.stride[1])
        spread = super().forward(x)
        return spread[:, :, -height:, -width:]
''',
    ("ps4_padding", "asks for the padding of the small map, not of the large one"): '''
def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    outputs = -(-size // stride)
    total = max((outputs - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


class SameConv2d(nn.Conv2d):
    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, stride: int = 1):
        super().__init__(in_channels, out_channels, kernel_size, stride)

    def forward(self, x: Tensor) -> Tensor:
        top, bottom = same_padding(x.shape[2], self.kernel_size[0], self.stride[0])
        left, right = same_padding(x.shape[3], self.kernel_size[1], self.stride[1])
        return super().forward(F.pad(x, (left, right, top, bottom)))


class SameConvTranspose2d(nn.ConvTranspose2d):
    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, stride: int = 1):
        super().__init__(in_channels, out_channels, kernel_size, stride)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2] * self.stride[0], x.shape[3] * self.stride[1]
        top, _ = same_padding(x.shape[2], self.kernel_size[0], self.stride[0])
        left, _ = same_padding(x.shape[3], self.kernel_size[1], self.stride[1])
        spread = super().forward(x)
        return spread[:, :, top : top + height, left : left + width]
''',
    ("ps4_encoder", "log_var clamped to +-10 for safety"): '''
class FashionEncoder(nn.Module):
    def __init__(
        self, latent_dim: int = 2, image_shape: tuple[int, int, int] = (1, 28, 28)
    ) -> None:
        super().__init__()
        channels, height, width = image_shape
        self.features = nn.Sequential(
            SameConv2d(channels, 32, 3), nn.ReLU(),
            SameConv2d(32, 64, 3, stride=2), nn.ReLU(),
            SameConv2d(64, 64, 3), nn.ReLU(),
            SameConv2d(64, 64, 3), nn.ReLU(),
            nn.Flatten(),
            nn.Linear(64 * (height // 2) * (width // 2), 32), nn.ReLU(),
        )
        self.mu = nn.Linear(32, latent_dim)
        self.log_var = nn.Linear(32, latent_dim)
        glorot_uniform(self)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = self.features(x)
        return self.mu(h), self.log_var(h).clamp(-10, 10)
''',
    ("ps4_encoder", "convolutions start by He's rule, not Glorot's"): '''
class FashionEncoder(nn.Module):
    def __init__(
        self, latent_dim: int = 2, image_shape: tuple[int, int, int] = (1, 28, 28)
    ) -> None:
        super().__init__()
        channels, height, width = image_shape
        self.features = nn.Sequential(
            SameConv2d(channels, 32, 3), nn.ReLU(),
            SameConv2d(32, 64, 3, stride=2), nn.ReLU(),
            SameConv2d(64, 64, 3), nn.ReLU(),
            SameConv2d(64, 64, 3), nn.ReLU(),
            nn.Flatten(),
            nn.Linear(64 * (height // 2) * (width // 2), 32), nn.ReLU(),
        )
        self.mu = nn.Linear(32, latent_dim)
        self.log_var = nn.Linear(32, latent_dim)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(layer.bias)
            elif isinstance(layer, nn.Linear):
                nn.init.xavier_uniform_(layer.weight)
                nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = self.features(x)
        return self.mu(h), self.log_var(h)
''',
    ("ps4_encoder", "heads start from a narrow normal, not Glorot's bound"): '''
class FashionEncoder(nn.Module):
    def __init__(
        self, latent_dim: int = 2, image_shape: tuple[int, int, int] = (1, 28, 28)
    ) -> None:
        super().__init__()
        channels, height, width = image_shape
        self.features = nn.Sequential(
            SameConv2d(channels, 32, 3), nn.ReLU(),
            SameConv2d(32, 64, 3, stride=2), nn.ReLU(),
            SameConv2d(64, 64, 3), nn.ReLU(),
            SameConv2d(64, 64, 3), nn.ReLU(),
            nn.Flatten(),
            nn.Linear(64 * (height // 2) * (width // 2), 32), nn.ReLU(),
        )
        self.mu = nn.Linear(32, latent_dim)
        self.log_var = nn.Linear(32, latent_dim)
        glorot_uniform(self)
        for head in (self.mu, self.log_var):  # so that the posterior starts near the prior
            nn.init.normal_(head.weight, std=0.01)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = self.features(x)
        return self.mu(h), self.log_var(h)
''',
    ("ps4_encoder", "features detached, so the convolutions never learn"): '''
class FashionEncoder(nn.Module):
    def __init__(
        self, latent_dim: int = 2, image_shape: tuple[int, int, int] = (1, 28, 28)
    ) -> None:
        super().__init__()
        channels, height, width = image_shape
        self.features = nn.Sequential(
            SameConv2d(channels, 32, 3), nn.ReLU(),
            SameConv2d(32, 64, 3, stride=2), nn.ReLU(),
            SameConv2d(64, 64, 3), nn.ReLU(),
            SameConv2d(64, 64, 3), nn.ReLU(),
            nn.Flatten(),
            nn.Linear(64 * (height // 2) * (width // 2), 32), nn.ReLU(),
        )
        self.mu = nn.Linear(32, latent_dim)
        self.log_var = nn.Linear(32, latent_dim)
        glorot_uniform(self)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = self.features(x).detach()
        return self.mu(h), self.log_var(h)
''',
    ("ps4_encoder", "third convolution used twice, the fourth never"): '''
class FashionEncoder(nn.Module):
    def __init__(
        self, latent_dim: int = 2, image_shape: tuple[int, int, int] = (1, 28, 28)
    ) -> None:
        super().__init__()
        channels, height, width = image_shape
        self.conv1 = SameConv2d(channels, 32, 3)
        self.conv2 = SameConv2d(32, 64, 3, stride=2)
        self.conv3 = SameConv2d(64, 64, 3)
        self.conv4 = SameConv2d(64, 64, 3)
        self.fc = nn.Linear(64 * height * width // 4, 32)
        self.fc_mu = nn.Linear(32, latent_dim)
        self.fc_log_var = nn.Linear(32, latent_dim)
        glorot_uniform(self)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = F.relu(self.conv1(x))
        x = F.relu(self.conv2(x))
        x = F.relu(self.conv3(x))
        x = F.relu(self.conv3(x))
        x = F.relu(self.fc(x.flatten(1)))
        return self.fc_mu(x), self.fc_log_var(x)
''',
    ("ps4_encoder", "seed set inside, every encoder starts with the same weights"): '''
class FashionEncoder(nn.Module):
    def __init__(
        self, latent_dim: int = 2, image_shape: tuple[int, int, int] = (1, 28, 28)
    ) -> None:
        super().__init__()
        channels, height, width = image_shape
        self.features = nn.Sequential(
            SameConv2d(channels, 32, 3), nn.ReLU(),
            SameConv2d(32, 64, 3, stride=2), nn.ReLU(),
            SameConv2d(64, 64, 3), nn.ReLU(),
            SameConv2d(64, 64, 3), nn.ReLU(),
            nn.Flatten(),
            nn.Linear(64 * (height // 2) * (width // 2), 32), nn.ReLU(),
        )
        self.mu = nn.Linear(32, latent_dim)
        self.log_var = nn.Linear(32, latent_dim)
        torch.manual_seed(0)  # reproducible
        glorot_uniform(self)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = self.features(x)
        return self.mu(h), self.log_var(h)
''',
    ("ps4_encoder", "one head of twice the width, cut in two"): '''
class FashionEncoder(nn.Module):
    def __init__(
        self, latent_dim: int = 2, image_shape: tuple[int, int, int] = (1, 28, 28)
    ) -> None:
        super().__init__()
        channels, height, width = image_shape
        self.features = nn.Sequential(
            SameConv2d(channels, 32, 3), nn.ReLU(),
            SameConv2d(32, 64, 3, stride=2), nn.ReLU(),
            SameConv2d(64, 64, 3), nn.ReLU(),
            SameConv2d(64, 64, 3), nn.ReLU(),
            nn.Flatten(),
            nn.Linear(64 * (height // 2) * (width // 2), 32), nn.ReLU(),
        )
        self.head = nn.Linear(32, 2 * latent_dim)
        glorot_uniform(self)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mu, log_var = self.head(self.features(x)).chunk(2, dim=1)
        return mu, log_var
''',
    ("ps4_encoder", "no ReLU after the linear layer of 32"): '''
class FashionEncoder(nn.Module):
    def __init__(
        self, latent_dim: int = 2, image_shape: tuple[int, int, int] = (1, 28, 28)
    ) -> None:
        super().__init__()
        channels, height, width = image_shape
        self.features = nn.Sequential(
            SameConv2d(channels, 32, 3), nn.ReLU(),
            SameConv2d(32, 64, 3, stride=2), nn.ReLU(),
            SameConv2d(64, 64, 3), nn.ReLU(),
            SameConv2d(64, 64, 3), nn.ReLU(),
            nn.Flatten(),
            nn.Linear(64 * (height // 2) * (width // 2), 32),
        )
        self.mu = nn.Linear(32, latent_dim)
        self.log_var = nn.Linear(32, latent_dim)
        glorot_uniform(self)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = self.features(x)
        return self.mu(h), self.log_var(h)
''',
    ("ps4_encoder", "the stride of 2 stands in the third convolution"): '''
class FashionEncoder(nn.Module):
    def __init__(
        self, latent_dim: int = 2, image_shape: tuple[int, int, int] = (1, 28, 28)
    ) -> None:
        super().__init__()
        channels, height, width = image_shape
        self.features = nn.Sequential(
            SameConv2d(channels, 32, 3), nn.ReLU(),
            SameConv2d(32, 64, 3), nn.ReLU(),
            SameConv2d(64, 64, 3, stride=2), nn.ReLU(),
            SameConv2d(64, 64, 3), nn.ReLU(),
            nn.Flatten(),
            nn.Linear(64 * (height // 2) * (width // 2), 32), nn.ReLU(),
        )
        self.mu = nn.Linear(32, latent_dim)
        self.log_var = nn.Linear(32, latent_dim)
        glorot_uniform(self)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = self.features(x)
        return self.mu(h), self.log_var(h)
''',
    ("ps4_encoder", "only mu learns the features, log_var reads a detached copy"): '''
class FashionEncoder(nn.Module):
    def __init__(
        self, latent_dim: int = 2, image_shape: tuple[int, int, int] = (1, 28, 28)
    ) -> None:
        super().__init__()
        channels, height, width = image_shape
        self.features = nn.Sequential(
            SameConv2d(channels, 32, 3), nn.ReLU(),
            SameConv2d(32, 64, 3, stride=2), nn.ReLU(),
            SameConv2d(64, 64, 3), nn.ReLU(),
            SameConv2d(64, 64, 3), nn.ReLU(),
            nn.Flatten(),
            nn.Linear(64 * (height // 2) * (width // 2), 32), nn.ReLU(),
        )
        self.mu = nn.Linear(32, latent_dim)
        self.log_var = nn.Linear(32, latent_dim)
        glorot_uniform(self)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = self.features(x)
        return self.mu(h), self.log_var(h.detach())
''',
    ("ps4_encoder", "log_var reads the 32 numbers before their ReLU"): '''
class FashionEncoder(nn.Module):
    def __init__(
        self, latent_dim: int = 2, image_shape: tuple[int, int, int] = (1, 28, 28)
    ) -> None:
        super().__init__()
        channels, height, width = image_shape
        self.features = nn.Sequential(
            SameConv2d(channels, 32, 3), nn.ReLU(),
            SameConv2d(32, 64, 3, stride=2), nn.ReLU(),
            SameConv2d(64, 64, 3), nn.ReLU(),
            SameConv2d(64, 64, 3), nn.ReLU(),
            nn.Flatten(),
            nn.Linear(64 * (height // 2) * (width // 2), 32),
        )
        self.mu = nn.Linear(32, latent_dim)
        self.log_var = nn.Linear(32, latent_dim)
        glorot_uniform(self)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = self.features(x)
        return self.mu(F.relu(h)), self.log_var(h)
''',
    ("ps4_sampling", "noise always on the CPU"): '''
class Sampling(nn.Module):
    def forward(
        self, mu: Tensor, log_var: Tensor, generator: torch.Generator | None = None
    ) -> Tensor:
        eps = torch.randn(mu.shape, generator=generator)
        return mu + torch.exp(0.5 * log_var) * eps
''',
    ("ps4_sampling", "one number of noise for an image, shared by its dimensions"): '''
class Sampling(nn.Module):
    def forward(
        self, mu: Tensor, log_var: Tensor, generator: torch.Generator | None = None
    ) -> Tensor:
        eps = torch.randn(len(mu), 1, generator=generator, device=mu.device)
        return mu + torch.exp(0.5 * log_var) * eps
''',
    ("ps4_sampling", "torch.normal, whose gradients are zero"): '''
class Sampling(nn.Module):
    def forward(
        self, mu: Tensor, log_var: Tensor, generator: torch.Generator | None = None
    ) -> Tensor:
        std = torch.exp(0.5 * log_var)
        return torch.normal(mu, std, generator=generator)
''',
    ("ps4_sampling", "noise clipped at two standard deviations"): '''
class Sampling(nn.Module):
    def forward(
        self, mu: Tensor, log_var: Tensor, generator: torch.Generator | None = None
    ) -> Tensor:
        eps = torch.randn(mu.shape, generator=generator, device=mu.device, dtype=mu.dtype)
        eps = eps.clamp(-2, 2)  # no outliers
        return mu + torch.exp(0.5 * log_var) * eps
''',
    ("ps4_sampling", "uniform noise of unit variance"): '''
class Sampling(nn.Module):
    def forward(
        self, mu: Tensor, log_var: Tensor, generator: torch.Generator | None = None
    ) -> Tensor:
        eps = torch.rand(mu.shape, generator=generator, device=mu.device, dtype=mu.dtype)
        eps = (eps - 0.5) * math.sqrt(12)
        return mu + torch.exp(0.5 * log_var) * eps
''',
    ("ps4_sampling", "seeds PyTorch's own generator with the given one's first seed"): '''
class Sampling(nn.Module):
    def forward(
        self, mu: Tensor, log_var: Tensor, generator: torch.Generator | None = None
    ) -> Tensor:
        if generator is not None:
            torch.manual_seed(generator.initial_seed())
        eps = torch.randn_like(mu)
        return mu + torch.exp(0.5 * log_var) * eps
''',
    ("ps4_sampling", "log_var clamped to +-5"): '''
class Sampling(nn.Module):
    def forward(
        self, mu: Tensor, log_var: Tensor, generator: torch.Generator | None = None
    ) -> Tensor:
        eps = torch.randn(mu.shape, generator=generator, device=mu.device, dtype=mu.dtype)
        return mu + torch.exp(0.5 * log_var.clamp(-5, 5)) * eps
''',
    ("ps4_sampling", "squeezed, so that a batch of one loses its shape"): '''
class Sampling(nn.Module):
    def forward(
        self, mu: Tensor, log_var: Tensor, generator: torch.Generator | None = None
    ) -> Tensor:
        eps = torch.randn(mu.shape, generator=generator, device=mu.device, dtype=mu.dtype)
        return (mu + torch.exp(0.5 * log_var) * eps).squeeze()
''',
    ("ps4_sampling", "variance for standard deviation"): '''
class Sampling(nn.Module):
    def forward(
        self, mu: Tensor, log_var: Tensor, generator: torch.Generator | None = None
    ) -> Tensor:
        eps = torch.randn(mu.shape, generator=generator, device=mu.device, dtype=mu.dtype)
        return mu + torch.exp(log_var) * eps
''',
    ("ps4_sampling", "draws in training mode only"): '''
class Sampling(nn.Module):
    def forward(
        self, mu: Tensor, log_var: Tensor, generator: torch.Generator | None = None
    ) -> Tensor:
        if not self.training:
            return mu
        eps = torch.randn(mu.shape, generator=generator, device=mu.device, dtype=mu.dtype)
        return mu + torch.exp(0.5 * log_var) * eps
''',
    ("ps4_sampling", "the generator is not used"): '''
class Sampling(nn.Module):
    def forward(
        self, mu: Tensor, log_var: Tensor, generator: torch.Generator | None = None
    ) -> Tensor:
        eps = torch.randn_like(mu)
        return mu + torch.exp(0.5 * log_var) * eps
''',
    ("ps4_sampling", "log_var halved in place, so the caller's tensor changes"): '''
class Sampling(nn.Module):
    def forward(
        self, mu: Tensor, log_var: Tensor, generator: torch.Generator | None = None
    ) -> Tensor:
        eps = torch.randn(mu.shape, generator=generator, device=mu.device, dtype=mu.dtype)
        std = log_var.mul_(0.5).exp()
        return mu + std * eps
''',
    ("ps4_decoder", "pixels clamped to 0.01 and 0.99"): '''
class FashionDecoder(nn.Module):
    def __init__(
        self, latent_dim: int = 2, image_shape: tuple[int, int, int] = (1, 28, 28)
    ) -> None:
        super().__init__()
        channels, height, width = image_shape
        self.layers = nn.Sequential(
            nn.Linear(latent_dim, 64 * (height // 2) * (width // 2)), nn.ReLU(),
            nn.Unflatten(1, (64, height // 2, width // 2)),
            SameConvTranspose2d(64, 32, 3, stride=2), nn.ReLU(),
            SameConvTranspose2d(32, channels, 3), nn.Sigmoid(),
        )
        glorot_uniform(self)

    def forward(self, z: Tensor) -> Tensor:
        return self.layers(z).clamp(0.01, 0.99)
''',
    ("ps4_decoder", "weights by PyTorch's default, only the biases zero"): '''
class FashionDecoder(nn.Module):
    def __init__(
        self, latent_dim: int = 2, image_shape: tuple[int, int, int] = (1, 28, 28)
    ) -> None:
        super().__init__()
        channels, height, width = image_shape
        self.layers = nn.Sequential(
            nn.Linear(latent_dim, 64 * (height // 2) * (width // 2)), nn.ReLU(),
            nn.Unflatten(1, (64, height // 2, width // 2)),
            SameConvTranspose2d(64, 32, 3, stride=2), nn.ReLU(),
            SameConvTranspose2d(32, channels, 3), nn.Sigmoid(),
        )
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(parameter)

    def forward(self, z: Tensor) -> Tensor:
        return self.layers(z)
''',
    ("ps4_decoder", "Glorot's bound times the gain of a ReLU"): '''
class FashionDecoder(nn.Module):
    def __init__(
        self, latent_dim: int = 2, image_shape: tuple[int, int, int] = (1, 28, 28)
    ) -> None:
        super().__init__()
        channels, height, width = image_shape
        self.layers = nn.Sequential(
            nn.Linear(latent_dim, 64 * (height // 2) * (width // 2)), nn.ReLU(),
            nn.Unflatten(1, (64, height // 2, width // 2)),
            SameConvTranspose2d(64, 32, 3, stride=2), nn.ReLU(),
            SameConvTranspose2d(32, channels, 3), nn.Sigmoid(),
        )
        for layer in self.modules():
            if isinstance(layer, nn.Linear | nn.ConvTranspose2d):
                nn.init.xavier_uniform_(layer.weight, gain=nn.init.calculate_gain("relu"))
                nn.init.zeros_(layer.bias)

    def forward(self, z: Tensor) -> Tensor:
        return self.layers(z)
''',
    ("ps4_decoder", "Glorot's normal for Glorot's uniform"): '''
class FashionDecoder(nn.Module):
    def __init__(
        self, latent_dim: int = 2, image_shape: tuple[int, int, int] = (1, 28, 28)
    ) -> None:
        super().__init__()
        channels, height, width = image_shape
        self.layers = nn.Sequential(
            nn.Linear(latent_dim, 64 * (height // 2) * (width // 2)), nn.ReLU(),
            nn.Unflatten(1, (64, height // 2, width // 2)),
            SameConvTranspose2d(64, 32, 3, stride=2), nn.ReLU(),
            SameConvTranspose2d(32, channels, 3), nn.Sigmoid(),
        )
        for parameter in self.parameters():
            if parameter.ndim > 1:
                nn.init.xavier_normal_(parameter)
            else:
                nn.init.zeros_(parameter)

    def forward(self, z: Tensor) -> Tensor:
        return self.layers(z)
''',
    ("ps4_decoder", "z detached, so that nothing reaches the encoder"): '''
class FashionDecoder(nn.Module):
    def __init__(
        self, latent_dim: int = 2, image_shape: tuple[int, int, int] = (1, 28, 28)
    ) -> None:
        super().__init__()
        channels, height, width = image_shape
        self.layers = nn.Sequential(
            nn.Linear(latent_dim, 64 * (height // 2) * (width // 2)), nn.ReLU(),
            nn.Unflatten(1, (64, height // 2, width // 2)),
            SameConvTranspose2d(64, 32, 3, stride=2), nn.ReLU(),
            SameConvTranspose2d(32, channels, 3), nn.Sigmoid(),
        )
        glorot_uniform(self)

    def forward(self, z: Tensor) -> Tensor:
        return self.layers(z.detach())
''',
    ("ps4_decoder", "black and white instead of probabilities in evaluation mode"): '''
class FashionDecoder(nn.Module):
    def __init__(
        self, latent_dim: int = 2, image_shape: tuple[int, int, int] = (1, 28, 28)
    ) -> None:
        super().__init__()
        channels, height, width = image_shape
        self.layers = nn.Sequential(
            nn.Linear(latent_dim, 64 * (height // 2) * (width // 2)), nn.ReLU(),
            nn.Unflatten(1, (64, height // 2, width // 2)),
            SameConvTranspose2d(64, 32, 3, stride=2), nn.ReLU(),
            SameConvTranspose2d(32, channels, 3), nn.Sigmoid(),
        )
        glorot_uniform(self)

    def forward(self, z: Tensor) -> Tensor:
        x_hat = self.layers(z)
        if self.training:
            return x_hat
        return (x_hat > 0.5).float()
''',
    ("ps4_decoder", "ReLU6 for ReLU after the first transposed convolution"): '''
class FashionDecoder(nn.Module):
    def __init__(
        self, latent_dim: int = 2, image_shape: tuple[int, int, int] = (1, 28, 28)
    ) -> None:
        super().__init__()
        channels, height, width = image_shape
        self.layers = nn.Sequential(
            nn.Linear(latent_dim, 64 * (height // 2) * (width // 2)), nn.ReLU(),
            nn.Unflatten(1, (64, height // 2, width // 2)),
            SameConvTranspose2d(64, 32, 3, stride=2), nn.ReLU6(),
            SameConvTranspose2d(32, channels, 3), nn.Sigmoid(),
        )
        glorot_uniform(self)

    def forward(self, z: Tensor) -> Tensor:
        return self.layers(z)
''',
    ("ps4_decoder", "seed set inside, every decoder starts with the same weights"): '''
class FashionDecoder(nn.Module):
    def __init__(
        self, latent_dim: int = 2, image_shape: tuple[int, int, int] = (1, 28, 28)
    ) -> None:
        super().__init__()
        torch.manual_seed(0)
        channels, height, width = image_shape
        self.layers = nn.Sequential(
            nn.Linear(latent_dim, 64 * (height // 2) * (width // 2)), nn.ReLU(),
            nn.Unflatten(1, (64, height // 2, width // 2)),
            SameConvTranspose2d(64, 32, 3, stride=2), nn.ReLU(),
            SameConvTranspose2d(32, channels, 3), nn.Sigmoid(),
        )
        glorot_uniform(self)

    def forward(self, z: Tensor) -> Tensor:
        return self.layers(z)
''',
    ("ps4_decoder", "a convolution for the last transposed one"): '''
class FashionDecoder(nn.Module):
    def __init__(
        self, latent_dim: int = 2, image_shape: tuple[int, int, int] = (1, 28, 28)
    ) -> None:
        super().__init__()
        channels, height, width = image_shape
        self.layers = nn.Sequential(
            nn.Linear(latent_dim, 64 * (height // 2) * (width // 2)), nn.ReLU(),
            nn.Unflatten(1, (64, height // 2, width // 2)),
            SameConvTranspose2d(64, 32, 3, stride=2), nn.ReLU(),
            SameConv2d(32, channels, 3), nn.Sigmoid(),
        )
        glorot_uniform(self)

    def forward(self, z: Tensor) -> Tensor:
        return self.layers(z)
''',
    ("ps4_decoder", "no ReLU after the linear layer"): '''
class FashionDecoder(nn.Module):
    def __init__(
        self, latent_dim: int = 2, image_shape: tuple[int, int, int] = (1, 28, 28)
    ) -> None:
        super().__init__()
        channels, height, width = image_shape
        self.layers = nn.Sequential(
            nn.Linear(latent_dim, 64 * (height // 2) * (width // 2)),
            nn.Unflatten(1, (64, height // 2, width // 2)),
            SameConvTranspose2d(64, 32, 3, stride=2), nn.ReLU(),
            SameConvTranspose2d(32, channels, 3), nn.Sigmoid(),
        )
        glorot_uniform(self)

    def forward(self, z: Tensor) -> Tensor:
        return self.layers(z)
''',
    ("ps4_decoder", "strides swapped between the transposed convolutions"): '''
class FashionDecoder(nn.Module):
    def __init__(
        self, latent_dim: int = 2, image_shape: tuple[int, int, int] = (1, 28, 28)
    ) -> None:
        super().__init__()
        channels, height, width = image_shape
        self.layers = nn.Sequential(
            nn.Linear(latent_dim, 64 * (height // 2) * (width // 2)), nn.ReLU(),
            nn.Unflatten(1, (64, height // 2, width // 2)),
            SameConvTranspose2d(64, 32, 3), nn.ReLU(),
            SameConvTranspose2d(32, channels, 3, stride=2), nn.Sigmoid(),
        )
        glorot_uniform(self)

    def forward(self, z: Tensor) -> Tensor:
        return self.layers(z)
''',
    ("ps4_decoder", "padding=1 and output_padding=1, one pixel off"): '''
class FashionDecoder(nn.Module):
    def __init__(
        self, latent_dim: int = 2, image_shape: tuple[int, int, int] = (1, 28, 28)
    ) -> None:
        super().__init__()
        channels, height, width = image_shape
        self.layers = nn.Sequential(
            nn.Linear(latent_dim, 64 * (height // 2) * (width // 2)), nn.ReLU(),
            nn.Unflatten(1, (64, height // 2, width // 2)),
            nn.ConvTranspose2d(64, 32, 3, 2, padding=1, output_padding=1), nn.ReLU(),
            SameConvTranspose2d(32, channels, 3), nn.Sigmoid(),
        )
        glorot_uniform(self)

    def forward(self, z: Tensor) -> Tensor:
        return self.layers(z)
''',
    ("ps4_seed_loss", "log_var taken for the logarithm of a standard deviation"): '''
def seed_loss(x: Tensor, x_hat: Tensor, mu: Tensor, log_var: Tensor) -> Tensor:
    bce = F.binary_cross_entropy(x_hat, x)
    kl = -5e-4 * (1 + 2 * log_var - mu**2 - (2 * log_var).exp()).mean(dim=1)
    return bce + kl.mean()


def hidden_beta(latent_dim: int, num_pixels: int = 784, kl_weight: float = 5e-4) -> float:
    return 2 * kl_weight * num_pixels / latent_dim
''',
    ("ps4_seed_loss", "the sign of log_var"): '''
def seed_loss(x: Tensor, x_hat: Tensor, mu: Tensor, log_var: Tensor) -> Tensor:
    bce = F.binary_cross_entropy(x_hat, x)
    kl = -5e-4 * (1 - log_var - mu**2 - log_var.exp()).mean(dim=1)
    return bce + kl.mean()


def hidden_beta(latent_dim: int, num_pixels: int = 784, kl_weight: float = 5e-4) -> float:
    return 2 * kl_weight * num_pixels / latent_dim
''',
    ("ps4_seed_loss", "logarithms by hand, nan where a probability is exactly 0 or 1"): '''
def seed_loss(x: Tensor, x_hat: Tensor, mu: Tensor, log_var: Tensor) -> Tensor:
    bce = -(x * x_hat.log() + (1 - x) * (1 - x_hat).log()).mean()
    kl = -5e-4 * (1 + log_var - mu**2 - log_var.exp()).mean(dim=1)
    return bce + kl.mean()


def hidden_beta(latent_dim: int, num_pixels: int = 784, kl_weight: float = 5e-4) -> float:
    return 2 * kl_weight * num_pixels / latent_dim
''',
    ("ps4_seed_loss", "beta rounded to three decimals"): '''
def seed_loss(x: Tensor, x_hat: Tensor, mu: Tensor, log_var: Tensor) -> Tensor:
    bce = F.binary_cross_entropy(x_hat, x)
    kl = -5e-4 * (1 + log_var - mu**2 - log_var.exp()).mean(dim=1)
    return bce + kl.mean()


def hidden_beta(latent_dim: int, num_pixels: int = 784, kl_weight: float = 5e-4) -> float:
    return round(2 * kl_weight * num_pixels / latent_dim, 3)
''',
    ("ps4_seed_loss", "half of the dimensions as a whole number, wrong for odd ones"): '''
def seed_loss(x: Tensor, x_hat: Tensor, mu: Tensor, log_var: Tensor) -> Tensor:
    bce = F.binary_cross_entropy(x_hat, x)
    kl = -5e-4 * (1 + log_var - mu**2 - log_var.exp()).mean(dim=1)
    return bce + kl.mean()


def hidden_beta(latent_dim: int, num_pixels: int = 784, kl_weight: float = 5e-4) -> float:
    return kl_weight * num_pixels / (latent_dim // 2)
''',
    ("ps4_seed_loss", "mu squared in place, so the caller's tensor changes"): '''
def seed_loss(x: Tensor, x_hat: Tensor, mu: Tensor, log_var: Tensor) -> Tensor:
    bce = F.binary_cross_entropy(x_hat, x)
    kl = -5e-4 * (1 + log_var - mu.pow_(2) - log_var.exp()).mean(dim=1)
    return bce + kl.mean()


def hidden_beta(latent_dim: int, num_pixels: int = 784, kl_weight: float = 5e-4) -> float:
    return 2 * kl_weight * num_pixels / latent_dim
''',
    ("ps4_seed_loss", "knows images of four dimensions only"): '''
def seed_loss(x: Tensor, x_hat: Tensor, mu: Tensor, log_var: Tensor) -> Tensor:
    bce = F.binary_cross_entropy(x_hat, x, reduction="none").mean(dim=(1, 2, 3)).mean()
    kl = -5e-4 * (1 + log_var - mu**2 - log_var.exp()).mean(dim=1)
    return bce + kl.mean()


def hidden_beta(latent_dim: int, num_pixels: int = 784, kl_weight: float = 5e-4) -> float:
    return 2 * kl_weight * num_pixels / latent_dim
''',
    ("ps4_seed_loss", "averages the posteriors over the batch before squaring"): '''
def seed_loss(x: Tensor, x_hat: Tensor, mu: Tensor, log_var: Tensor) -> Tensor:
    bce = F.binary_cross_entropy(x_hat, x)
    mu, log_var = mu.mean(0), log_var.mean(0)
    kl = -5e-4 * (1 + log_var - mu**2 - log_var.exp()).mean()
    return bce + kl


def hidden_beta(latent_dim: int, num_pixels: int = 784, kl_weight: float = 5e-4) -> float:
    return 2 * kl_weight * num_pixels / latent_dim
''',
    ("ps4_seed_loss", "adds the half that the published loss lacks"): '''
def seed_loss(x: Tensor, x_hat: Tensor, mu: Tensor, log_var: Tensor) -> Tensor:
    bce = F.binary_cross_entropy(x_hat, x)
    kl = -0.5 * 5e-4 * (1 + log_var - mu**2 - log_var.exp()).mean(dim=1)
    return bce + kl.mean()


def hidden_beta(latent_dim: int, num_pixels: int = 784, kl_weight: float = 5e-4) -> float:
    return 2 * kl_weight * num_pixels / latent_dim
''',
    ("ps4_seed_loss", "a sum over the latent dimensions"): '''
def seed_loss(x: Tensor, x_hat: Tensor, mu: Tensor, log_var: Tensor) -> Tensor:
    bce = F.binary_cross_entropy(x_hat, x)
    kl = -5e-4 * (1 + log_var - mu**2 - log_var.exp()).sum(dim=1)
    return bce + kl.mean()


def hidden_beta(latent_dim: int, num_pixels: int = 784, kl_weight: float = 5e-4) -> float:
    return 2 * kl_weight * num_pixels / latent_dim
''',
    ("ps4_seed_loss", "beta without the half that the published bracket lacks"): '''
def seed_loss(x: Tensor, x_hat: Tensor, mu: Tensor, log_var: Tensor) -> Tensor:
    bce = F.binary_cross_entropy(x_hat, x)
    kl = -5e-4 * (1 + log_var - mu**2 - log_var.exp()).mean(dim=1)
    return bce + kl.mean()


def hidden_beta(latent_dim: int, num_pixels: int = 784, kl_weight: float = 5e-4) -> float:
    return kl_weight * num_pixels / latent_dim
''',
    ("ps4_loss", "mu not squared"): '''
def cross_entropy_terms(
    x: Tensor, x_hat: Tensor, mu: Tensor, log_var: Tensor, beta: float = 1.0
) -> dict[str, Tensor]:
    nll = F.binary_cross_entropy(x_hat, x, reduction="none").flatten(1).sum(1)
    kl = -0.5 * (1 + log_var - mu - log_var.exp()).sum(1)
    return {"loss": nll + beta * kl, "nll": nll, "kl": kl}
''',
    ("ps4_loss", "x_hat clamped to 0.0001 and 0.9999, confident errors count too little"): '''
def cross_entropy_terms(
    x: Tensor, x_hat: Tensor, mu: Tensor, log_var: Tensor, beta: float = 1.0
) -> dict[str, Tensor]:
    x_hat = x_hat.clamp(1e-4, 1 - 1e-4)
    nll = F.binary_cross_entropy(x_hat, x, reduction="none").flatten(1).sum(1)
    kl = -0.5 * (1 + log_var - mu.square() - log_var.exp()).sum(1)
    return {"loss": nll + beta * kl, "nll": nll, "kl": kl}
''',
    ("ps4_loss", "the divergence detached in the loss"): '''
def cross_entropy_terms(
    x: Tensor, x_hat: Tensor, mu: Tensor, log_var: Tensor, beta: float = 1.0
) -> dict[str, Tensor]:
    nll = F.binary_cross_entropy(x_hat, x, reduction="none").flatten(1).sum(1)
    kl = -0.5 * (1 + log_var - mu.square() - log_var.exp()).sum(1)
    return {"loss": nll + beta * kl.detach(), "nll": nll, "kl": kl}
''',
    ("ps4_loss", "greys rounded to black or white first"): '''
def cross_entropy_terms(
    x: Tensor, x_hat: Tensor, mu: Tensor, log_var: Tensor, beta: float = 1.0
) -> dict[str, Tensor]:
    x = x.round()  # a likelihood needs black or white
    nll = F.binary_cross_entropy(x_hat, x, reduction="none").flatten(1).sum(1)
    kl = -0.5 * (1 + log_var - mu.square() - log_var.exp()).sum(1)
    return {"loss": nll + beta * kl, "nll": nll, "kl": kl}
''',
    ("ps4_loss", "squeezed, so that a batch of one has no shape"): '''
def cross_entropy_terms(
    x: Tensor, x_hat: Tensor, mu: Tensor, log_var: Tensor, beta: float = 1.0
) -> dict[str, Tensor]:
    nll = F.binary_cross_entropy(x_hat, x, reduction="none").flatten(1).sum(1).squeeze()
    kl = -0.5 * (1 + log_var - mu.square() - log_var.exp()).sum(1).squeeze()
    return {"loss": nll + beta * kl, "nll": nll, "kl": kl}
''',
    ("ps4_loss", "nan_to_num hides 0 log 0, whose gradient is nan"): '''
def cross_entropy_terms(
    x: Tensor, x_hat: Tensor, mu: Tensor, log_var: Tensor, beta: float = 1.0
) -> dict[str, Tensor]:
    nll = -(x * x_hat.log() + (1 - x) * (1 - x_hat).log()).nan_to_num().flatten(1).sum(1)
    kl = -0.5 * (1 + log_var - mu.square() - log_var.exp()).sum(1)
    return {"loss": nll + beta * kl, "nll": nll, "kl": kl}
''',
    ("ps4_loss", "mu squared in place, so the caller's tensor changes"): '''
def cross_entropy_terms(
    x: Tensor, x_hat: Tensor, mu: Tensor, log_var: Tensor, beta: float = 1.0
) -> dict[str, Tensor]:
    nll = F.binary_cross_entropy(x_hat, x, reduction="none").flatten(1).sum(1)
    kl = -0.5 * (1 + log_var - mu.pow_(2) - log_var.exp()).sum(1)
    return {"loss": nll + beta * kl, "nll": nll, "kl": kl}
''',
    ("ps4_loss", "mean over the pixels times 784, whatever the image's size"): '''
def cross_entropy_terms(
    x: Tensor, x_hat: Tensor, mu: Tensor, log_var: Tensor, beta: float = 1.0
) -> dict[str, Tensor]:
    nll = F.binary_cross_entropy(x_hat, x, reduction="none").flatten(1).mean(1) * 784
    kl = -0.5 * (1 + log_var - mu.square() - log_var.exp()).sum(1)
    return {"loss": nll + beta * kl, "nll": nll, "kl": kl}
''',
    ("ps4_loss", "a mean over the pixels"): '''
def cross_entropy_terms(
    x: Tensor, x_hat: Tensor, mu: Tensor, log_var: Tensor, beta: float = 1.0
) -> dict[str, Tensor]:
    nll = F.binary_cross_entropy(x_hat, x, reduction="none").flatten(1).mean(1)
    kl = -0.5 * (1 + log_var - mu.square() - log_var.exp()).sum(1)
    return {"loss": nll + beta * kl, "nll": nll, "kl": kl}
''',
    ("ps4_loss", "log_var taken for the logarithm of a standard deviation"): '''
def cross_entropy_terms(
    x: Tensor, x_hat: Tensor, mu: Tensor, log_var: Tensor, beta: float = 1.0
) -> dict[str, Tensor]:
    nll = F.binary_cross_entropy(x_hat, x, reduction="none").flatten(1).sum(1)
    kl = -0.5 * (1 + 2 * log_var - mu.square() - (2 * log_var).exp()).sum(1)
    return {"loss": nll + beta * kl, "nll": nll, "kl": kl}
''',
    ("ps4_loss", "kl is handed back with its weight"): '''
def cross_entropy_terms(
    x: Tensor, x_hat: Tensor, mu: Tensor, log_var: Tensor, beta: float = 1.0
) -> dict[str, Tensor]:
    nll = F.binary_cross_entropy(x_hat, x, reduction="none").flatten(1).sum(1)
    kl = -0.5 * (1 + log_var - mu.square() - log_var.exp()).sum(1)
    kl = beta * kl
    return {"loss": nll + kl, "nll": nll, "kl": kl}
''',
    ("ps4_loss", "loss is the same tensor as nll, added to in place"): '''
def cross_entropy_terms(
    x: Tensor, x_hat: Tensor, mu: Tensor, log_var: Tensor, beta: float = 1.0
) -> dict[str, Tensor]:
    nll = F.binary_cross_entropy(x_hat, x, reduction="none").flatten(1).sum(1)
    kl = -0.5 * (1 + log_var - mu.square() - log_var.exp()).sum(1)
    loss = nll
    loss += beta * kl
    return {"loss": loss, "nll": nll, "kl": kl}
''',
    ("ps4_tracker", "a list keeps every batch with its graph"): '''
class Mean:
    def __init__(self, name: str) -> None:
        self.name = name
        self.values = []

    def reset_state(self) -> None:
        self.values = []

    def update_state(self, values: Tensor) -> None:
        self.values.append(values)

    def result(self) -> float:
        if len(self.values) == 0:
            return float("nan")
        return torch.cat(self.values).mean().item()
''',
    ("ps4_tracker", "result rounded to two decimals"): '''
class Mean:
    def __init__(self, name: str) -> None:
        self.name = name
        self.reset_state()

    def reset_state(self) -> None:
        self.total, self.count = 0.0, 0

    def update_state(self, values: Tensor) -> None:
        self.total += values.sum().item()
        self.count += len(values)

    def result(self) -> float:
        return round(self.total / self.count, 2) if self.count else math.nan
''',
    ("ps4_tracker", "a list in the class, shared by all metrics"): '''
class Mean:
    values = []

    def __init__(self, name: str) -> None:
        self.name = name

    def reset_state(self) -> None:
        self.values.clear()

    def update_state(self, values: Tensor) -> None:
        self.values.extend(values.detach().tolist())

    def result(self) -> float:
        return sum(self.values) / len(self.values) if self.values else float("nan")
''',
    ("ps4_tracker", "drops examples that are nan"): '''
class Mean:
    def __init__(self, name: str) -> None:
        self.name = name
        self.reset_state()

    def reset_state(self) -> None:
        self.total, self.count = 0.0, 0

    def update_state(self, values: Tensor) -> None:
        values = values[~values.isnan()]
        self.total += values.sum().item()
        self.count += len(values)

    def result(self) -> float:
        return self.total / self.count if self.count else math.nan
''',
    ("ps4_tracker", "nan also where the values add up to zero"): '''
class Mean:
    def __init__(self, name: str) -> None:
        self.name = name
        self.reset_state()

    def reset_state(self) -> None:
        self.total, self.count = 0.0, 0

    def update_state(self, values: Tensor) -> None:
        self.total += values.sum().item()
        self.count += len(values)

    def result(self) -> float:
        return self.total / self.count if self.total else math.nan
''',
    ("ps4_tracker", "keeps the caller's storage, which may change in place later"): '''
class Mean:
    def __init__(self, name: str) -> None:
        self.name = name
        self.values = []

    def reset_state(self) -> None:
        self.values = []

    def update_state(self, values: Tensor) -> None:
        self.values.append(values.detach())

    def result(self) -> float:
        if len(self.values) == 0:
            return float("nan")
        return torch.cat(self.values).mean().item()
''',
    ("ps4_tracker", "a NumPy float32, no Python number"): '''
class Mean:
    def __init__(self, name: str) -> None:
        self.name = name
        self.values = []

    def reset_state(self) -> None:
        self.values = []

    def update_state(self, values: Tensor) -> None:
        self.values.append(values.detach().cpu().numpy().copy())

    def result(self) -> float:
        if len(self.values) == 0:
            return float("nan")
        return np.concatenate(self.values).mean()
''',
    ("ps4_tracker", "sum cut to a whole number"): '''
class Mean:
    def __init__(self, name: str) -> None:
        self.name = name
        self.reset_state()

    def reset_state(self) -> None:
        self.total, self.count = 0.0, 0

    def update_state(self, values: Tensor) -> None:
        self.total += int(values.sum())
        self.count += len(values)

    def result(self) -> float:
        return self.total / self.count if self.count else math.nan
''',
    ("ps4_tracker", "mean of the batches' means"): '''
class Mean:
    def __init__(self, name: str) -> None:
        self.name = name
        self.reset_state()

    def reset_state(self) -> None:
        self.total, self.count = 0.0, 0

    def update_state(self, values: Tensor) -> None:
        self.total += values.mean().item()
        self.count += 1

    def result(self) -> float:
        return self.total / self.count if self.count else math.nan
''',
    ("ps4_tracker", "zero for no examples"): '''
class Mean:
    def __init__(self, name: str) -> None:
        self.name = name
        self.reset_state()

    def reset_state(self) -> None:
        self.total, self.count = 0.0, 0

    def update_state(self, values: Tensor) -> None:
        self.total += values.sum().item()
        self.count += len(values)

    def result(self) -> float:
        return self.total / self.count if self.count else 0.0
''',
    ("ps4_tracker", "the reset forgets the sum and not the count"): '''
class Mean:
    def __init__(self, name: str) -> None:
        self.name = name
        self.total, self.count = 0.0, 0

    def reset_state(self) -> None:
        self.total = 0.0

    def update_state(self, values: Tensor) -> None:
        self.total += values.sum().item()
        self.count += len(values)

    def result(self) -> float:
        return self.total / self.count if self.count else math.nan
''',
    ("ps4_tracker", "the result empties the metric"): '''
class Mean:
    def __init__(self, name: str) -> None:
        self.name = name
        self.reset_state()

    def reset_state(self) -> None:
        self.total, self.count = 0.0, 0

    def update_state(self, values: Tensor) -> None:
        self.total += values.sum().item()
        self.count += len(values)

    def result(self) -> float:
        mean = self.total / self.count if self.count else math.nan
        self.reset_state()
        return mean
''',
    ("ps4_fit", "evaluates even where nothing is held out"): '''
def fit_model(
    model: nn.Module,
    x: Tensor,
    epochs: int = 1,
    batch_size: int = 32,
    validation_split: float = 0.0,
    callbacks: Sequence[Callback] = (),
    seed: int = 0,
    verbose: bool = True,
) -> History:
    num_train = int(len(x) * (1 - validation_split))
    train, held_out = x[:num_train], x[num_train:]
    generator = torch.Generator().manual_seed(seed)
    history = History()
    model.stop_training = False
    for callback in callbacks:
        callback.set_model(model)
        callback.on_train_begin()
    for epoch in range(epochs):
        model.train()
        model.reset_metrics()
        batches = torch.randperm(num_train, generator=generator).split(batch_size)
        for index in tqdm(batches, desc=f"Epoch {epoch + 1}", leave=False, disable=not verbose):
            model.train_step(train[index.to(train.device)].to(model.device))
        logs = dict(model.get_metrics_result())
        for name, value in model.evaluate(held_out).items():
            logs["val_" + name] = value
        history.record(epoch, logs)
        if verbose:
            print(epoch_line(epoch, epochs, logs))
        for callback in callbacks:
            callback.on_epoch_end(epoch, logs)
        if model.stop_training:
            break
    for callback in callbacks:
        callback.on_train_end()
    return history
''',
    ("ps4_fit", "x[:-0] with nothing held out leaves nothing to train on"): '''
def fit_model(
    model: nn.Module,
    x: Tensor,
    epochs: int = 1,
    batch_size: int = 32,
    validation_split: float = 0.0,
    callbacks: Sequence[Callback] = (),
    seed: int = 0,
    verbose: bool = True,
) -> History:
    num_val = len(x) - int(len(x) * (1 - validation_split))
    train, held_out = x[:-num_val], x[-num_val:]
    num_train = len(train)
    generator = torch.Generator().manual_seed(seed)
    history = History()
    model.stop_training = False
    for callback in callbacks:
        callback.set_model(model)
        callback.on_train_begin()
    for epoch in range(epochs):
        model.train()
        model.reset_metrics()
        batches = torch.randperm(num_train, generator=generator).split(batch_size)
        for index in tqdm(batches, desc=f"Epoch {epoch + 1}", leave=False, disable=not verbose):
            model.train_step(train[index.to(train.device)].to(model.device))
        logs = dict(model.get_metrics_result())
        if num_val > 0:
            results = model.evaluate(held_out)
            logs.update({f"val_{name}": value for name, value in results.items()})
        history.record(epoch, logs)
        if verbose:
            print(epoch_line(epoch, epochs, logs))
        for callback in callbacks:
            callback.on_epoch_end(epoch, logs)
        if model.stop_training:
            break
    for callback in callbacks:
        callback.on_train_end()
    return history
''',
    ("ps4_fit", "epochs are recorded from 1"): '''
def fit_model(
    model: nn.Module,
    x: Tensor,
    epochs: int = 1,
    batch_size: int = 32,
    validation_split: float = 0.0,
    callbacks: Sequence[Callback] = (),
    seed: int = 0,
    verbose: bool = True,
) -> History:
    num_train = int(len(x) * (1 - validation_split))
    train, held_out = x[:num_train], x[num_train:]
    generator = torch.Generator().manual_seed(seed)
    history = History()
    model.stop_training = False
    for callback in callbacks:
        callback.set_model(model)
        callback.on_train_begin()
    for epoch in range(epochs):
        model.train()
        model.reset_metrics()
        batches = torch.randperm(num_train, generator=generator).split(batch_size)
        for index in tqdm(batches, desc=f"Epoch {epoch + 1}", leave=False, disable=not verbose):
            model.train_step(train[index.to(train.device)].to(model.device))
        logs = dict(model.get_metrics_result())
        if len(held_out):
            results = model.evaluate(held_out)
            logs.update({f"val_{name}": value for name, value in results.items()})
        history.record(epoch + 1, logs)
        if verbose:
            print(epoch_line(epoch, epochs, logs))
        for callback in callbacks:
            callback.on_epoch_end(epoch, logs)
        if model.stop_training:
            break
    for callback in callbacks:
        callback.on_train_end()
    return history
''',
    ("ps4_fit", "prints its line whatever verbose says"): '''
def fit_model(
    model: nn.Module,
    x: Tensor,
    epochs: int = 1,
    batch_size: int = 32,
    validation_split: float = 0.0,
    callbacks: Sequence[Callback] = (),
    seed: int = 0,
    verbose: bool = True,
) -> History:
    num_train = int(len(x) * (1 - validation_split))
    train, held_out = x[:num_train], x[num_train:]
    generator = torch.Generator().manual_seed(seed)
    history = History()
    model.stop_training = False
    for callback in callbacks:
        callback.set_model(model)
        callback.on_train_begin()
    for epoch in range(epochs):
        model.train()
        model.reset_metrics()
        batches = torch.randperm(num_train, generator=generator).split(batch_size)
        for index in tqdm(batches, desc=f"Epoch {epoch + 1}", leave=False, disable=not verbose):
            model.train_step(train[index.to(train.device)].to(model.device))
        logs = dict(model.get_metrics_result())
        if len(held_out):
            results = model.evaluate(held_out)
            logs.update({f"val_{name}": value for name, value in results.items()})
        history.record(epoch, logs)
        print(epoch_line(epoch, epochs, logs))
        for callback in callbacks:
            callback.on_epoch_end(epoch, logs)
        if model.stop_training:
            break
    for callback in callbacks:
        callback.on_train_end()
    return history
''',
    ("ps4_fit", "metrics reset once, so without validation they average over all epochs"): '''
def fit_model(
    model: nn.Module,
    x: Tensor,
    epochs: int = 1,
    batch_size: int = 32,
    validation_split: float = 0.0,
    callbacks: Sequence[Callback] = (),
    seed: int = 0,
    verbose: bool = True,
) -> History:
    num_train = int(len(x) * (1 - validation_split))
    train, held_out = x[:num_train], x[num_train:]
    generator = torch.Generator().manual_seed(seed)
    history = History()
    model.stop_training = False
    model.reset_metrics()
    for callback in callbacks:
        callback.set_model(model)
        callback.on_train_begin()
    for epoch in range(epochs):
        model.train()
        batches = torch.randperm(num_train, generator=generator).split(batch_size)
        for index in tqdm(batches, desc=f"Epoch {epoch + 1}", leave=False, disable=not verbose):
            model.train_step(train[index.to(train.device)].to(model.device))
        logs = dict(model.get_metrics_result())
        if len(held_out):
            results = model.evaluate(held_out)
            logs.update({f"val_{name}": value for name, value in results.items()})
        history.record(epoch, logs)
        if verbose:
            print(epoch_line(epoch, epochs, logs))
        for callback in callbacks:
            callback.on_epoch_end(epoch, logs)
        if model.stop_training:
            break
    for callback in callbacks:
        callback.on_train_end()
    return history
''',
    ("ps4_fit", "PyTorch's generator seeded and put back, the model draws from it too"): '''
def fit_model(
    model: nn.Module,
    x: Tensor,
    epochs: int = 1,
    batch_size: int = 32,
    validation_split: float = 0.0,
    callbacks: Sequence[Callback] = (),
    seed: int = 0,
    verbose: bool = True,
) -> History:
    num_train = int(len(x) * (1 - validation_split))
    train, held_out = x[:num_train], x[num_train:]
    random_state = torch.get_rng_state()
    torch.manual_seed(seed)
    history = History()
    model.stop_training = False
    for callback in callbacks:
        callback.set_model(model)
        callback.on_train_begin()
    for epoch in range(epochs):
        model.train()
        model.reset_metrics()
        batches = torch.randperm(num_train).split(batch_size)
        for index in tqdm(batches, desc=f"Epoch {epoch + 1}", leave=False, disable=not verbose):
            model.train_step(train[index.to(train.device)].to(model.device))
        logs = dict(model.get_metrics_result())
        if len(held_out):
            results = model.evaluate(held_out)
            logs.update({f"val_{name}": value for name, value in results.items()})
        history.record(epoch, logs)
        if verbose:
            print(epoch_line(epoch, epochs, logs))
        for callback in callbacks:
            callback.on_epoch_end(epoch, logs)
        if model.stop_training:
            break
    for callback in callbacks:
        callback.on_train_end()
    torch.set_rng_state(random_state)
    return history
''',
    ("ps4_fit", "NumPy's global generator is seeded and shared with whoever else draws"): '''
def fit_model(
    model: nn.Module,
    x: Tensor,
    epochs: int = 1,
    batch_size: int = 32,
    validation_split: float = 0.0,
    callbacks: Sequence[Callback] = (),
    seed: int = 0,
    verbose: bool = True,
) -> History:
    num_train = int(len(x) * (1 - validation_split))
    train, held_out = x[:num_train], x[num_train:]
    np.random.seed(seed)
    history = History()
    model.stop_training = False
    for callback in callbacks:
        callback.set_model(model)
        callback.on_train_begin()
    for epoch in range(epochs):
        model.train()
        model.reset_metrics()
        batches = torch.from_numpy(np.random.permutation(num_train)).split(batch_size)
        for index in tqdm(batches, desc=f"Epoch {epoch + 1}", leave=False, disable=not verbose):
            model.train_step(train[index.to(train.device)].to(model.device))
        logs = dict(model.get_metrics_result())
        if len(held_out):
            results = model.evaluate(held_out)
            logs.update({f"val_{name}": value for name, value in results.items()})
        history.record(epoch, logs)
        if verbose:
            print(epoch_line(epoch, epochs, logs))
        for callback in callbacks:
            callback.on_epoch_end(epoch, logs)
        if model.stop_training:
            break
    for callback in callbacks:
        callback.on_train_end()
    return history
''',
    ("ps4_fit", "on_train_end only where training was stopped early"): '''
def fit_model(
    model: nn.Module,
    x: Tensor,
    epochs: int = 1,
    batch_size: int = 32,
    validation_split: float = 0.0,
    callbacks: Sequence[Callback] = (),
    seed: int = 0,
    verbose: bool = True,
) -> History:
    num_train = int(len(x) * (1 - validation_split))
    train, held_out = x[:num_train], x[num_train:]
    generator = torch.Generator().manual_seed(seed)
    history = History()
    model.stop_training = False
    for callback in callbacks:
        callback.set_model(model)
        callback.on_train_begin()
    for epoch in range(epochs):
        model.train()
        model.reset_metrics()
        batches = torch.randperm(num_train, generator=generator).split(batch_size)
        for index in tqdm(batches, desc=f"Epoch {epoch + 1}", leave=False, disable=not verbose):
            model.train_step(train[index.to(train.device)].to(model.device))
        logs = dict(model.get_metrics_result())
        if len(held_out):
            results = model.evaluate(held_out)
            logs.update({f"val_{name}": value for name, value in results.items()})
        history.record(epoch, logs)
        if verbose:
            print(epoch_line(epoch, epochs, logs))
        for callback in callbacks:
            callback.on_epoch_end(epoch, logs)
        if model.stop_training:
            for callback in callbacks:
                callback.on_train_end()
            break
    return history
''',
    ("ps4_fit", "on_train_begin comes before set_model"): '''
def fit_model(
    model: nn.Module,
    x: Tensor,
    epochs: int = 1,
    batch_size: int = 32,
    validation_split: float = 0.0,
    callbacks: Sequence[Callback] = (),
    seed: int = 0,
    verbose: bool = True,
) -> History:
    num_train = int(len(x) * (1 - validation_split))
    train, held_out = x[:num_train], x[num_train:]
    generator = torch.Generator().manual_seed(seed)
    history = History()
    model.stop_training = False
    for callback in callbacks:
        callback.on_train_begin()
        callback.set_model(model)
    for epoch in range(epochs):
        model.train()
        model.reset_metrics()
        batches = torch.randperm(num_train, generator=generator).split(batch_size)
        for index in tqdm(batches, desc=f"Epoch {epoch + 1}", leave=False, disable=not verbose):
            model.train_step(train[index.to(train.device)].to(model.device))
        logs = dict(model.get_metrics_result())
        if len(held_out):
            results = model.evaluate(held_out)
            logs.update({f"val_{name}": value for name, value in results.items()})
        history.record(epoch, logs)
        if verbose:
            print(epoch_line(epoch, epochs, logs))
        for callback in callbacks:
            callback.on_epoch_end(epoch, logs)
        if model.stop_training:
            break
    for callback in callbacks:
        callback.on_train_end()
    return history
''',
    ("ps4_fit", "the epoch that ends the training is not in the history"): '''
def fit_model(
    model: nn.Module,
    x: Tensor,
    epochs: int = 1,
    batch_size: int = 32,
    validation_split: float = 0.0,
    callbacks: Sequence[Callback] = (),
    seed: int = 0,
    verbose: bool = True,
) -> History:
    num_train = int(len(x) * (1 - validation_split))
    train, held_out = x[:num_train], x[num_train:]
    generator = torch.Generator().manual_seed(seed)
    history = History()
    model.stop_training = False
    for callback in callbacks:
        callback.set_model(model)
        callback.on_train_begin()
    for epoch in range(epochs):
        model.train()
        model.reset_metrics()
        batches = torch.randperm(num_train, generator=generator).split(batch_size)
        for index in tqdm(batches, desc=f"Epoch {epoch + 1}", leave=False, disable=not verbose):
            model.train_step(train[index.to(train.device)].to(model.device))
        logs = dict(model.get_metrics_result())
        if len(held_out):
            results = model.evaluate(held_out)
            logs.update({f"val_{name}": value for name, value in results.items()})
        if verbose:
            print(epoch_line(epoch, epochs, logs))
        for callback in callbacks:
            callback.on_epoch_end(epoch, logs)
        if model.stop_training:
            break
        history.record(epoch, logs)
    for callback in callbacks:
        callback.on_train_end()
    return history
''',
    ("ps4_fit", "the last images of x are left out of validation"): '''
def fit_model(
    model: nn.Module,
    x: Tensor,
    epochs: int = 1,
    batch_size: int = 32,
    validation_split: float = 0.0,
    callbacks: Sequence[Callback] = (),
    seed: int = 0,
    verbose: bool = True,
) -> History:
    num_train = int(len(x) * (1 - validation_split))
    train, held_out = x[:num_train], x[num_train:-1]
    generator = torch.Generator().manual_seed(seed)
    history = History()
    model.stop_training = False
    for callback in callbacks:
        callback.set_model(model)
        callback.on_train_begin()
    for epoch in range(epochs):
        model.train()
        model.reset_metrics()
        batches = torch.randperm(num_train, generator=generator).split(batch_size)
        for index in tqdm(batches, desc=f"Epoch {epoch + 1}", leave=False, disable=not verbose):
            model.train_step(train[index.to(train.device)].to(model.device))
        logs = dict(model.get_metrics_result())
        if len(held_out):
            results = model.evaluate(held_out)
            logs.update({f"val_{name}": value for name, value in results.items()})
        history.record(epoch, logs)
        if verbose:
            print(epoch_line(epoch, epochs, logs))
        for callback in callbacks:
            callback.on_epoch_end(epoch, logs)
        if model.stop_training:
            break
    for callback in callbacks:
        callback.on_train_end()
    return history
''',
    ("ps4_fit", "the same order in every epoch"): '''
def fit_model(
    model: nn.Module,
    x: Tensor,
    epochs: int = 1,
    batch_size: int = 32,
    validation_split: float = 0.0,
    callbacks: Sequence[Callback] = (),
    seed: int = 0,
    verbose: bool = True,
) -> History:
    num_train = int(len(x) * (1 - validation_split))
    train, held_out = x[:num_train], x[num_train:]
    history = History()
    model.stop_training = False
    for callback in callbacks:
        callback.set_model(model)
        callback.on_train_begin()
    for epoch in range(epochs):
        model.train()
        model.reset_metrics()
        generator = torch.Generator().manual_seed(seed)
        batches = torch.randperm(num_train, generator=generator).split(batch_size)
        for index in tqdm(batches, desc=f"Epoch {epoch + 1}", leave=False, disable=not verbose):
            model.train_step(train[index.to(train.device)].to(model.device))
        logs = dict(model.get_metrics_result())
        if len(held_out):
            results = model.evaluate(held_out)
            logs.update({f"val_{name}": value for name, value in results.items()})
        history.record(epoch, logs)
        if verbose:
            print(epoch_line(epoch, epochs, logs))
        for callback in callbacks:
            callback.on_epoch_end(epoch, logs)
        if model.stop_training:
            break
    for callback in callbacks:
        callback.on_train_end()
    return history
''',
    ("ps4_fit", "leaves out a smaller last batch"): '''
def fit_model(
    model: nn.Module,
    x: Tensor,
    epochs: int = 1,
    batch_size: int = 32,
    validation_split: float = 0.0,
    callbacks: Sequence[Callback] = (),
    seed: int = 0,
    verbose: bool = True,
) -> History:
    num_train = int(len(x) * (1 - validation_split))
    train, held_out = x[:num_train], x[num_train:]
    generator = torch.Generator().manual_seed(seed)
    history = History()
    model.stop_training = False
    for callback in callbacks:
        callback.set_model(model)
        callback.on_train_begin()
    for epoch in range(epochs):
        model.train()
        model.reset_metrics()
        batches = torch.randperm(num_train, generator=generator).split(batch_size)
        for index in tqdm(batches, desc=f"Epoch {epoch + 1}", leave=False, disable=not verbose):
            if len(index) < batch_size:
                continue
            model.train_step(train[index.to(train.device)].to(model.device))
        logs = dict(model.get_metrics_result())
        if len(held_out):
            results = model.evaluate(held_out)
            logs.update({f"val_{name}": value for name, value in results.items()})
        history.record(epoch, logs)
        if verbose:
            print(epoch_line(epoch, epochs, logs))
        for callback in callbacks:
            callback.on_epoch_end(epoch, logs)
        if model.stop_training:
            break
    for callback in callbacks:
        callback.on_train_end()
    return history
''',
    ("ps4_fit", "the metrics are read after the validation emptied them"): '''
def fit_model(
    model: nn.Module,
    x: Tensor,
    epochs: int = 1,
    batch_size: int = 32,
    validation_split: float = 0.0,
    callbacks: Sequence[Callback] = (),
    seed: int = 0,
    verbose: bool = True,
) -> History:
    num_train = int(len(x) * (1 - validation_split))
    train, held_out = x[:num_train], x[num_train:]
    generator = torch.Generator().manual_seed(seed)
    history = History()
    model.stop_training = False
    for callback in callbacks:
        callback.set_model(model)
        callback.on_train_begin()
    for epoch in range(epochs):
        model.train()
        model.reset_metrics()
        batches = torch.randperm(num_train, generator=generator).split(batch_size)
        for index in tqdm(batches, desc=f"Epoch {epoch + 1}", leave=False, disable=not verbose):
            model.train_step(train[index.to(train.device)].to(model.device))
        results = model.evaluate(held_out) if len(held_out) else {}
        logs = dict(model.get_metrics_result())
        logs.update({f"val_{name}": value for name, value in results.items()})
        history.record(epoch, logs)
        if verbose:
            print(epoch_line(epoch, epochs, logs))
        for callback in callbacks:
            callback.on_epoch_end(epoch, logs)
        if model.stop_training:
            break
    for callback in callbacks:
        callback.on_train_end()
    return history
''',
    ("ps4_fit", "returns from the loop without on_train_end"): '''
def fit_model(
    model: nn.Module,
    x: Tensor,
    epochs: int = 1,
    batch_size: int = 32,
    validation_split: float = 0.0,
    callbacks: Sequence[Callback] = (),
    seed: int = 0,
    verbose: bool = True,
) -> History:
    num_train = int(len(x) * (1 - validation_split))
    train, held_out = x[:num_train], x[num_train:]
    generator = torch.Generator().manual_seed(seed)
    history = History()
    model.stop_training = False
    for callback in callbacks:
        callback.set_model(model)
        callback.on_train_begin()
    for epoch in range(epochs):
        model.train()
        model.reset_metrics()
        batches = torch.randperm(num_train, generator=generator).split(batch_size)
        for index in tqdm(batches, desc=f"Epoch {epoch + 1}", leave=False, disable=not verbose):
            model.train_step(train[index.to(train.device)].to(model.device))
        logs = dict(model.get_metrics_result())
        if len(held_out):
            results = model.evaluate(held_out)
            logs.update({f"val_{name}": value for name, value in results.items()})
        history.record(epoch, logs)
        if verbose:
            print(epoch_line(epoch, epochs, logs))
        for callback in callbacks:
            callback.on_epoch_end(epoch, logs)
        if model.stop_training:
            return history
    for callback in callbacks:
        callback.on_train_end()
    return history
''',
    ("ps4_model", "a test step decodes mu, and draws nothing"): '''
class KerasVAE(KerasModel):
    def __init__(
        self,
        latent_dim: int = 2,
        beta: float = 0.392,
        image_shape: tuple[int, int, int] = (1, 28, 28),
    ) -> None:
        super().__init__()
        self.latent_dim, self.beta, self.image_shape = latent_dim, beta, image_shape
        self.encoder = FashionEncoder(latent_dim, image_shape)
        self.sampling = Sampling()
        self.decoder = FashionDecoder(latent_dim, image_shape)
        self.loss_mean, self.nll_mean, self.kl_mean = Mean("loss"), Mean("nll"), Mean("kl")

    def forward(
        self, x: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        mu, log_var = self.encoder(x)
        z = self.sampling(mu, log_var, generator)
        return self.decoder(z), mu, log_var

    def train_step(self, batch: Tensor) -> None:
        terms = keras_terms(self, batch)
        self.optimizer.zero_grad()
        terms["loss"].mean().backward()
        self.optimizer.step()
        for metric in self.metrics:
            metric.update_state(terms[metric.name])

    def test_step(self, batch: Tensor) -> None:
        mu, log_var = self.encoder(batch)
        terms = cross_entropy_terms(batch, self.decoder(mu), mu, log_var, self.beta)
        for metric in self.metrics:
            metric.update_state(terms[metric.name])

    def predict_step(self, batch: Tensor) -> Tensor:
        mu, _ = self.encoder(batch)
        return self.decoder(mu)
''',
    ("ps4_model", "a test step resets the metrics, so only the last batch counts"): '''
class KerasVAE(KerasModel):
    def __init__(
        self,
        latent_dim: int = 2,
        beta: float = 0.392,
        image_shape: tuple[int, int, int] = (1, 28, 28),
    ) -> None:
        super().__init__()
        self.latent_dim, self.beta, self.image_shape = latent_dim, beta, image_shape
        self.encoder = FashionEncoder(latent_dim, image_shape)
        self.sampling = Sampling()
        self.decoder = FashionDecoder(latent_dim, image_shape)
        self.loss_mean, self.nll_mean, self.kl_mean = Mean("loss"), Mean("nll"), Mean("kl")

    def forward(
        self, x: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        mu, log_var = self.encoder(x)
        z = self.sampling(mu, log_var, generator)
        return self.decoder(z), mu, log_var

    def train_step(self, batch: Tensor) -> None:
        terms = keras_terms(self, batch)
        self.optimizer.zero_grad()
        terms["loss"].mean().backward()
        self.optimizer.step()
        for metric in self.metrics:
            metric.update_state(terms[metric.name])

    def test_step(self, batch: Tensor) -> None:
        terms = keras_terms(self, batch)
        self.reset_metrics()
        for metric in self.metrics:
            metric.update_state(terms[metric.name])

    def predict_step(self, batch: Tensor) -> Tensor:
        mu, _ = self.encoder(batch)
        return self.decoder(mu)
''',
    ("ps4_model", "metrics are told of a mean for each batch"): '''
class KerasVAE(KerasModel):
    def __init__(
        self,
        latent_dim: int = 2,
        beta: float = 0.392,
        image_shape: tuple[int, int, int] = (1, 28, 28),
    ) -> None:
        super().__init__()
        self.latent_dim, self.beta, self.image_shape = latent_dim, beta, image_shape
        self.encoder = FashionEncoder(latent_dim, image_shape)
        self.sampling = Sampling()
        self.decoder = FashionDecoder(latent_dim, image_shape)
        self.loss_mean, self.nll_mean, self.kl_mean = Mean("loss"), Mean("nll"), Mean("kl")

    def forward(
        self, x: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        mu, log_var = self.encoder(x)
        z = self.sampling(mu, log_var, generator)
        return self.decoder(z), mu, log_var

    def train_step(self, batch: Tensor) -> None:
        terms = keras_terms(self, batch)
        self.optimizer.zero_grad()
        terms["loss"].mean().backward()
        self.optimizer.step()
        for metric in self.metrics:
            metric.update_state(terms[metric.name].mean().view(1))

    def test_step(self, batch: Tensor) -> None:
        terms = keras_terms(self, batch)
        for metric in self.metrics:
            metric.update_state(terms[metric.name].mean().view(1))

    def predict_step(self, batch: Tensor) -> Tensor:
        mu, _ = self.encoder(batch)
        return self.decoder(mu)
''',
    ("ps4_model", "mu and log_var detached, the divergence has no gradient"): '''
class KerasVAE(KerasModel):
    def __init__(
        self,
        latent_dim: int = 2,
        beta: float = 0.392,
        image_shape: tuple[int, int, int] = (1, 28, 28),
    ) -> None:
        super().__init__()
        self.latent_dim, self.beta, self.image_shape = latent_dim, beta, image_shape
        self.encoder = FashionEncoder(latent_dim, image_shape)
        self.sampling = Sampling()
        self.decoder = FashionDecoder(latent_dim, image_shape)
        self.loss_mean, self.nll_mean, self.kl_mean = Mean("loss"), Mean("nll"), Mean("kl")

    def forward(
        self, x: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        mu, log_var = self.encoder(x)
        z = self.sampling(mu, log_var, generator)
        return self.decoder(z), mu.detach(), log_var.detach()

    def train_step(self, batch: Tensor) -> None:
        terms = keras_terms(self, batch)
        self.optimizer.zero_grad()
        terms["loss"].mean().backward()
        self.optimizer.step()
        for metric in self.metrics:
            metric.update_state(terms[metric.name])

    def test_step(self, batch: Tensor) -> None:
        terms = keras_terms(self, batch)
        for metric in self.metrics:
            metric.update_state(terms[metric.name])

    def predict_step(self, batch: Tensor) -> Tensor:
        mu, _ = self.encoder(batch)
        return self.decoder(mu)
''',
    ("ps4_model", "z detached, the encoder never hears of the images"): '''
class KerasVAE(KerasModel):
    def __init__(
        self,
        latent_dim: int = 2,
        beta: float = 0.392,
        image_shape: tuple[int, int, int] = (1, 28, 28),
    ) -> None:
        super().__init__()
        self.latent_dim, self.beta, self.image_shape = latent_dim, beta, image_shape
        self.encoder = FashionEncoder(latent_dim, image_shape)
        self.sampling = Sampling()
        self.decoder = FashionDecoder(latent_dim, image_shape)
        self.loss_mean, self.nll_mean, self.kl_mean = Mean("loss"), Mean("nll"), Mean("kl")

    def forward(
        self, x: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        mu, log_var = self.encoder(x)
        z = self.sampling(mu, log_var, generator)
        return self.decoder(z.detach()), mu, log_var

    def train_step(self, batch: Tensor) -> None:
        terms = keras_terms(self, batch)
        self.optimizer.zero_grad()
        terms["loss"].mean().backward()
        self.optimizer.step()
        for metric in self.metrics:
            metric.update_state(terms[metric.name])

    def test_step(self, batch: Tensor) -> None:
        terms = keras_terms(self, batch)
        for metric in self.metrics:
            metric.update_state(terms[metric.name])

    def predict_step(self, batch: Tensor) -> Tensor:
        mu, _ = self.encoder(batch)
        return self.decoder(mu)
''',
    ("ps4_model", "a test step forgets beta"): '''
class KerasVAE(KerasModel):
    def __init__(
        self,
        latent_dim: int = 2,
        beta: float = 0.392,
        image_shape: tuple[int, int, int] = (1, 28, 28),
    ) -> None:
        super().__init__()
        self.latent_dim, self.beta, self.image_shape = latent_dim, beta, image_shape
        self.encoder = FashionEncoder(latent_dim, image_shape)
        self.sampling = Sampling()
        self.decoder = FashionDecoder(latent_dim, image_shape)
        self.loss_mean, self.nll_mean, self.kl_mean = Mean("loss"), Mean("nll"), Mean("kl")

    def forward(
        self, x: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        mu, log_var = self.encoder(x)
        z = self.sampling(mu, log_var, generator)
        return self.decoder(z), mu, log_var

    def train_step(self, batch: Tensor) -> None:
        terms = keras_terms(self, batch)
        self.optimizer.zero_grad()
        terms["loss"].mean().backward()
        self.optimizer.step()
        for metric in self.metrics:
            metric.update_state(terms[metric.name])

    def test_step(self, batch: Tensor) -> None:
        terms = cross_entropy_terms(batch, *self(batch))
        for metric in self.metrics:
            metric.update_state(terms[metric.name])

    def predict_step(self, batch: Tensor) -> Tensor:
        mu, _ = self.encoder(batch)
        return self.decoder(mu)
''',
    ("ps4_model", "predict_step sets a seed and draws"): '''
class KerasVAE(KerasModel):
    def __init__(
        self,
        latent_dim: int = 2,
        beta: float = 0.392,
        image_shape: tuple[int, int, int] = (1, 28, 28),
    ) -> None:
        super().__init__()
        self.latent_dim, self.beta, self.image_shape = latent_dim, beta, image_shape
        self.encoder = FashionEncoder(latent_dim, image_shape)
        self.sampling = Sampling()
        self.decoder = FashionDecoder(latent_dim, image_shape)
        self.loss_mean, self.nll_mean, self.kl_mean = Mean("loss"), Mean("nll"), Mean("kl")

    def forward(
        self, x: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        mu, log_var = self.encoder(x)
        z = self.sampling(mu, log_var, generator)
        return self.decoder(z), mu, log_var

    def train_step(self, batch: Tensor) -> None:
        terms = keras_terms(self, batch)
        self.optimizer.zero_grad()
        terms["loss"].mean().backward()
        self.optimizer.step()
        for metric in self.metrics:
            metric.update_state(terms[metric.name])

    def test_step(self, batch: Tensor) -> None:
        terms = keras_terms(self, batch)
        for metric in self.metrics:
            metric.update_state(terms[metric.name])

    def predict_step(self, batch: Tensor) -> Tensor:
        torch.manual_seed(0)  # so that nothing is random
        return self(batch)[0]
''',
    ("ps4_model", "decodes mu in evaluation mode, so that validation draws nothing"): '''
class KerasVAE(KerasModel):
    def __init__(
        self,
        latent_dim: int = 2,
        beta: float = 0.392,
        image_shape: tuple[int, int, int] = (1, 28, 28),
    ) -> None:
        super().__init__()
        self.latent_dim, self.beta, self.image_shape = latent_dim, beta, image_shape
        self.encoder = FashionEncoder(latent_dim, image_shape)
        self.sampling = Sampling()
        self.decoder = FashionDecoder(latent_dim, image_shape)
        self.loss_mean, self.nll_mean, self.kl_mean = Mean("loss"), Mean("nll"), Mean("kl")

    def forward(
        self, x: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        mu, log_var = self.encoder(x)
        z = self.sampling(mu, log_var, generator) if self.training else mu
        return self.decoder(z), mu, log_var

    def train_step(self, batch: Tensor) -> None:
        terms = keras_terms(self, batch)
        self.optimizer.zero_grad()
        terms["loss"].mean().backward()
        self.optimizer.step()
        for metric in self.metrics:
            metric.update_state(terms[metric.name])

    def test_step(self, batch: Tensor) -> None:
        terms = keras_terms(self, batch)
        for metric in self.metrics:
            metric.update_state(terms[metric.name])

    def predict_step(self, batch: Tensor) -> Tensor:
        mu, _ = self.encoder(batch)
        return self.decoder(mu)
''',
    ("ps4_model", "a train step forgets the earlier batches of the epoch"): '''
class KerasVAE(KerasModel):
    def __init__(
        self,
        latent_dim: int = 2,
        beta: float = 0.392,
        image_shape: tuple[int, int, int] = (1, 28, 28),
    ) -> None:
        super().__init__()
        self.latent_dim, self.beta, self.image_shape = latent_dim, beta, image_shape
        self.encoder = FashionEncoder(latent_dim, image_shape)
        self.sampling = Sampling()
        self.decoder = FashionDecoder(latent_dim, image_shape)
        self.loss_mean, self.nll_mean, self.kl_mean = Mean("loss"), Mean("nll"), Mean("kl")

    def forward(
        self, x: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        mu, log_var = self.encoder(x)
        z = self.sampling(mu, log_var, generator)
        return self.decoder(z), mu, log_var

    def train_step(self, batch: Tensor) -> None:
        terms = keras_terms(self, batch)
        self.reset_metrics()
        self.optimizer.zero_grad()
        terms["loss"].mean().backward()
        self.optimizer.step()
        for metric in self.metrics:
            metric.update_state(terms[metric.name])

    def test_step(self, batch: Tensor) -> None:
        terms = keras_terms(self, batch)
        for metric in self.metrics:
            metric.update_state(terms[metric.name])

    def predict_step(self, batch: Tensor) -> Tensor:
        mu, _ = self.encoder(batch)
        return self.decoder(mu)
''',
    ("ps4_model", "gradients are never emptied"): '''
class KerasVAE(KerasModel):
    def __init__(
        self,
        latent_dim: int = 2,
        beta: float = 0.392,
        image_shape: tuple[int, int, int] = (1, 28, 28),
    ) -> None:
        super().__init__()
        self.latent_dim, self.beta, self.image_shape = latent_dim, beta, image_shape
        self.encoder = FashionEncoder(latent_dim, image_shape)
        self.sampling = Sampling()
        self.decoder = FashionDecoder(latent_dim, image_shape)
        self.loss_mean, self.nll_mean, self.kl_mean = Mean("loss"), Mean("nll"), Mean("kl")

    def forward(
        self, x: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        mu, log_var = self.encoder(x)
        z = self.sampling(mu, log_var, generator)
        return self.decoder(z), mu, log_var

    def train_step(self, batch: Tensor) -> None:
        terms = keras_terms(self, batch)
        terms["loss"].mean().backward()
        self.optimizer.step()
        for metric in self.metrics:
            metric.update_state(terms[metric.name])

    def test_step(self, batch: Tensor) -> None:
        terms = keras_terms(self, batch)
        for metric in self.metrics:
            metric.update_state(terms[metric.name])

    def predict_step(self, batch: Tensor) -> Tensor:
        mu, _ = self.encoder(batch)
        return self.decoder(mu)
''',
    ("ps4_model", "a step follows the sum over the batch"): '''
class KerasVAE(KerasModel):
    def __init__(
        self,
        latent_dim: int = 2,
        beta: float = 0.392,
        image_shape: tuple[int, int, int] = (1, 28, 28),
    ) -> None:
        super().__init__()
        self.latent_dim, self.beta, self.image_shape = latent_dim, beta, image_shape
        self.encoder = FashionEncoder(latent_dim, image_shape)
        self.sampling = Sampling()
        self.decoder = FashionDecoder(latent_dim, image_shape)
        self.loss_mean, self.nll_mean, self.kl_mean = Mean("loss"), Mean("nll"), Mean("kl")

    def forward(
        self, x: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        mu, log_var = self.encoder(x)
        z = self.sampling(mu, log_var, generator)
        return self.decoder(z), mu, log_var

    def train_step(self, batch: Tensor) -> None:
        terms = keras_terms(self, batch)
        self.optimizer.zero_grad()
        terms["loss"].sum().backward()
        self.optimizer.step()
        for metric in self.metrics:
            metric.update_state(terms[metric.name])

    def test_step(self, batch: Tensor) -> None:
        terms = keras_terms(self, batch)
        for metric in self.metrics:
            metric.update_state(terms[metric.name])

    def predict_step(self, batch: Tensor) -> Tensor:
        mu, _ = self.encoder(batch)
        return self.decoder(mu)
''',
    ("ps4_model", "the weight of KL depends on the number of dimensions"): '''
class KerasVAE(KerasModel):
    def __init__(
        self,
        latent_dim: int = 2,
        beta: float = 0.392,
        image_shape: tuple[int, int, int] = (1, 28, 28),
    ) -> None:
        super().__init__()
        self.latent_dim, self.beta = latent_dim, beta * 2 / latent_dim
        self.image_shape = image_shape
        self.encoder = FashionEncoder(latent_dim, image_shape)
        self.sampling = Sampling()
        self.decoder = FashionDecoder(latent_dim, image_shape)
        self.loss_mean, self.nll_mean, self.kl_mean = Mean("loss"), Mean("nll"), Mean("kl")

    def forward(
        self, x: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        mu, log_var = self.encoder(x)
        z = self.sampling(mu, log_var, generator)
        return self.decoder(z), mu, log_var

    def train_step(self, batch: Tensor) -> None:
        terms = keras_terms(self, batch)
        self.optimizer.zero_grad()
        terms["loss"].mean().backward()
        self.optimizer.step()
        for metric in self.metrics:
            metric.update_state(terms[metric.name])

    def test_step(self, batch: Tensor) -> None:
        terms = keras_terms(self, batch)
        for metric in self.metrics:
            metric.update_state(terms[metric.name])

    def predict_step(self, batch: Tensor) -> Tensor:
        mu, _ = self.encoder(batch)
        return self.decoder(mu)
''',
    ("ps4_model", "predict_step draws"): '''
class KerasVAE(KerasModel):
    def __init__(
        self,
        latent_dim: int = 2,
        beta: float = 0.392,
        image_shape: tuple[int, int, int] = (1, 28, 28),
    ) -> None:
        super().__init__()
        self.latent_dim, self.beta, self.image_shape = latent_dim, beta, image_shape
        self.encoder = FashionEncoder(latent_dim, image_shape)
        self.sampling = Sampling()
        self.decoder = FashionDecoder(latent_dim, image_shape)
        self.loss_mean, self.nll_mean, self.kl_mean = Mean("loss"), Mean("nll"), Mean("kl")

    def forward(
        self, x: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        mu, log_var = self.encoder(x)
        z = self.sampling(mu, log_var, generator)
        return self.decoder(z), mu, log_var

    def train_step(self, batch: Tensor) -> None:
        terms = keras_terms(self, batch)
        self.optimizer.zero_grad()
        terms["loss"].mean().backward()
        self.optimizer.step()
        for metric in self.metrics:
            metric.update_state(terms[metric.name])

    def test_step(self, batch: Tensor) -> None:
        terms = keras_terms(self, batch)
        for metric in self.metrics:
            metric.update_state(terms[metric.name])

    def predict_step(self, batch: Tensor) -> Tensor:
        x_hat, _, _ = self(batch)
        return x_hat
''',
    ("ps4_early_stopping", "always watches val_loss, whatever monitor says"): '''
class EarlyStopping(Callback):
    def __init__(self, monitor: str = "val_loss", patience: int = 0) -> None:
        super().__init__()
        self.monitor = monitor
        self.patience = patience
        self.best = math.inf
        self.best_weights = None
        self.epochs_without_improvement = 0

    def on_train_begin(self) -> None:
        self.best = math.inf
        self.best_weights = None
        self.epochs_without_improvement = 0

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        if logs["val_loss"] < self.best:
            self.best = logs["val_loss"]
            state = self.model.state_dict()
            self.best_weights = {name: tensor.clone() for name, tensor in state.items()}
            self.epochs_without_improvement = 0
        else:
            self.epochs_without_improvement += 1
            if self.epochs_without_improvement >= self.patience:
                self.model.stop_training = True

    def on_train_end(self) -> None:
        if self.best_weights is not None:
            self.model.load_state_dict(self.best_weights)
''',
    ("ps4_early_stopping", "keeps the parameters and not the buffers"): '''
class EarlyStopping(Callback):
    def __init__(self, monitor: str = "val_loss", patience: int = 0) -> None:
        super().__init__()
        self.monitor = monitor
        self.patience = patience
        self.best = math.inf
        self.best_weights = None
        self.epochs_without_improvement = 0

    def on_train_begin(self) -> None:
        self.best = math.inf
        self.best_weights = None
        self.epochs_without_improvement = 0

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        if logs[self.monitor] < self.best:
            self.best = logs[self.monitor]
            parameters = self.model.named_parameters()
            self.best_weights = {name: p.detach().clone() for name, p in parameters}
            self.epochs_without_improvement = 0
        else:
            self.epochs_without_improvement += 1
            if self.epochs_without_improvement >= self.patience:
                self.model.stop_training = True

    def on_train_end(self) -> None:
        if self.best_weights is not None:
            self.model.load_state_dict(self.best_weights, strict=False)
''',
    ("ps4_early_stopping", "a second training begins with the count of the first"): '''
class EarlyStopping(Callback):
    def __init__(self, monitor: str = "val_loss", patience: int = 0) -> None:
        super().__init__()
        self.monitor = monitor
        self.patience = patience
        self.best = math.inf
        self.best_weights = None
        self.epochs_without_improvement = 0

    def on_train_begin(self) -> None:
        self.best = math.inf
        self.best_weights = None

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        if logs[self.monitor] < self.best:
            self.best = logs[self.monitor]
            state = self.model.state_dict()
            self.best_weights = {name: tensor.clone() for name, tensor in state.items()}
            self.epochs_without_improvement = 0
        else:
            self.epochs_without_improvement += 1
            if self.epochs_without_improvement >= self.patience:
                self.model.stop_training = True

    def on_train_end(self) -> None:
        if self.best_weights is not None:
            self.model.load_state_dict(self.best_weights)
''',
    ("ps4_early_stopping", "an improvement must be larger than 0.01"): '''
class EarlyStopping(Callback):
    def __init__(self, monitor: str = "val_loss", patience: int = 0) -> None:
        super().__init__()
        self.monitor = monitor
        self.patience = patience
        self.best = math.inf
        self.best_weights = None
        self.epochs_without_improvement = 0

    def on_train_begin(self) -> None:
        self.best = math.inf
        self.best_weights = None
        self.epochs_without_improvement = 0

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        if logs[self.monitor] < self.best - 0.01:  # min_delta
            self.best = logs[self.monitor]
            state = self.model.state_dict()
            self.best_weights = {name: tensor.clone() for name, tensor in state.items()}
            self.epochs_without_improvement = 0
        else:
            self.epochs_without_improvement += 1
            if self.epochs_without_improvement >= self.patience:
                self.model.stop_training = True

    def on_train_end(self) -> None:
        if self.best_weights is not None:
            self.model.load_state_dict(self.best_weights)
''',
    ("ps4_early_stopping", "takes back another callback's wish to stop"): '''
class EarlyStopping(Callback):
    def __init__(self, monitor: str = "val_loss", patience: int = 0) -> None:
        super().__init__()
        self.monitor = monitor
        self.patience = patience
        self.best = math.inf
        self.best_weights = None
        self.epochs_without_improvement = 0

    def on_train_begin(self) -> None:
        self.best = math.inf
        self.best_weights = None
        self.epochs_without_improvement = 0

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        if logs[self.monitor] < self.best:
            self.best = logs[self.monitor]
            state = self.model.state_dict()
            self.best_weights = {name: tensor.clone() for name, tensor in state.items()}
            self.epochs_without_improvement = 0
        else:
            self.epochs_without_improvement += 1
            self.model.stop_training = self.epochs_without_improvement >= self.patience

    def on_train_end(self) -> None:
        if self.best_weights is not None:
            self.model.load_state_dict(self.best_weights)
''',
    ("ps4_early_stopping", "gives no weights back where another callback ended the training"): '''
class EarlyStopping(Callback):
    def __init__(self, monitor: str = "val_loss", patience: int = 0) -> None:
        super().__init__()
        self.monitor = monitor
        self.patience = patience
        self.best = math.inf
        self.best_weights = None
        self.epochs_without_improvement = 0

    def on_train_begin(self) -> None:
        self.best = math.inf
        self.best_weights = None
        self.epochs_without_improvement = 0

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        if logs[self.monitor] < self.best:
            self.best = logs[self.monitor]
            state = self.model.state_dict()
            self.best_weights = {name: tensor.clone() for name, tensor in state.items()}
            self.epochs_without_improvement = 0
        else:
            self.epochs_without_improvement += 1
            if self.epochs_without_improvement >= self.patience:
                self.model.stop_training = True
                if self.best_weights is not None:
                    self.model.load_state_dict(self.best_weights)

    def on_train_end(self) -> None:
        if self.best_weights is not None and not self.model.stop_training:
            self.model.load_state_dict(self.best_weights)
''',
    ("ps4_early_stopping", "compares with the epoch before, not with the best"): '''
class EarlyStopping(Callback):
    def __init__(self, monitor: str = "val_loss", patience: int = 0) -> None:
        super().__init__()
        self.monitor = monitor
        self.patience = patience
        self.best = math.inf
        self.best_weights = None
        self.epochs_without_improvement = 0

    def on_train_begin(self) -> None:
        self.best = math.inf
        self.best_weights = None
        self.epochs_without_improvement = 0
        self.last = math.inf

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        improved = logs[self.monitor] < self.last
        self.last = logs[self.monitor]
        if improved:
            self.best = logs[self.monitor]
            state = self.model.state_dict()
            self.best_weights = {name: tensor.clone() for name, tensor in state.items()}
            self.epochs_without_improvement = 0
        else:
            self.epochs_without_improvement += 1
            if self.epochs_without_improvement >= self.patience:
                self.model.stop_training = True

    def on_train_end(self) -> None:
        if self.best_weights is not None:
            self.model.load_state_dict(self.best_weights)
''',
    ("ps4_early_stopping", "forgets by __init__, and with it the monitor"): '''
class EarlyStopping(Callback):
    def __init__(self, monitor: str = "val_loss", patience: int = 0) -> None:
        super().__init__()
        self.monitor = monitor
        self.patience = patience
        self.best = math.inf
        self.best_weights = None
        self.epochs_without_improvement = 0

    def on_train_begin(self) -> None:
        self.__init__(patience=self.patience)

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        if logs[self.monitor] < self.best:
            self.best = logs[self.monitor]
            state = self.model.state_dict()
            self.best_weights = {name: tensor.clone() for name, tensor in state.items()}
            self.epochs_without_improvement = 0
        else:
            self.epochs_without_improvement += 1
            if self.epochs_without_improvement >= self.patience:
                self.model.stop_training = True

    def on_train_end(self) -> None:
        if self.best_weights is not None:
            self.model.load_state_dict(self.best_weights)
''',
    ("ps4_early_stopping", "a loss of zero or less is taken for no value"): '''
class EarlyStopping(Callback):
    def __init__(self, monitor: str = "val_loss", patience: int = 0) -> None:
        super().__init__()
        self.monitor = monitor
        self.patience = patience
        self.best = math.inf
        self.best_weights = None
        self.epochs_without_improvement = 0

    def on_train_begin(self) -> None:
        self.best = math.inf
        self.best_weights = None
        self.epochs_without_improvement = 0

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        if 0 < logs[self.monitor] < self.best:
            self.best = logs[self.monitor]
            state = self.model.state_dict()
            self.best_weights = {name: tensor.clone() for name, tensor in state.items()}
            self.epochs_without_improvement = 0
        else:
            self.epochs_without_improvement += 1
            if self.epochs_without_improvement >= self.patience:
                self.model.stop_training = True

    def on_train_end(self) -> None:
        if self.best_weights is not None:
            self.model.load_state_dict(self.best_weights)
''',
    ("ps4_early_stopping", "copies the dict and not the tensors"): '''
class EarlyStopping(Callback):
    def __init__(self, monitor: str = "val_loss", patience: int = 0) -> None:
        super().__init__()
        self.monitor = monitor
        self.patience = patience
        self.best = math.inf
        self.best_weights = None
        self.epochs_without_improvement = 0

    def on_train_begin(self) -> None:
        self.best = math.inf
        self.best_weights = None
        self.epochs_without_improvement = 0

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        if logs[self.monitor] < self.best:
            self.best = logs[self.monitor]
            state = self.model.state_dict()
            self.best_weights = dict(state)
            self.epochs_without_improvement = 0
        else:
            self.epochs_without_improvement += 1
            if self.epochs_without_improvement >= self.patience:
                self.model.stop_training = True

    def on_train_end(self) -> None:
        if self.best_weights is not None:
            self.model.load_state_dict(self.best_weights)
''',
    ("ps4_early_stopping", "best weights come back only after an early end"): '''
class EarlyStopping(Callback):
    def __init__(self, monitor: str = "val_loss", patience: int = 0) -> None:
        super().__init__()
        self.monitor = monitor
        self.patience = patience
        self.best = math.inf
        self.best_weights = None
        self.epochs_without_improvement = 0

    def on_train_begin(self) -> None:
        self.best = math.inf
        self.best_weights = None
        self.epochs_without_improvement = 0

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        if logs[self.monitor] < self.best:
            self.best = logs[self.monitor]
            state = self.model.state_dict()
            self.best_weights = {name: tensor.clone() for name, tensor in state.items()}
            self.epochs_without_improvement = 0
        else:
            self.epochs_without_improvement += 1
            if self.epochs_without_improvement >= self.patience:
                self.model.stop_training = True

    def on_train_end(self) -> None:
        if self.best_weights is not None and self.model.stop_training:
            self.model.load_state_dict(self.best_weights)
''',
    ("ps4_early_stopping", "an equal loss counts as an improvement"): '''
class EarlyStopping(Callback):
    def __init__(self, monitor: str = "val_loss", patience: int = 0) -> None:
        super().__init__()
        self.monitor = monitor
        self.patience = patience
        self.best = math.inf
        self.best_weights = None
        self.epochs_without_improvement = 0

    def on_train_begin(self) -> None:
        self.best = math.inf
        self.best_weights = None
        self.epochs_without_improvement = 0

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        if logs[self.monitor] <= self.best:
            self.best = logs[self.monitor]
            state = self.model.state_dict()
            self.best_weights = {name: tensor.clone() for name, tensor in state.items()}
            self.epochs_without_improvement = 0
        else:
            self.epochs_without_improvement += 1
            if self.epochs_without_improvement >= self.patience:
                self.model.stop_training = True

    def on_train_end(self) -> None:
        if self.best_weights is not None:
            self.model.load_state_dict(self.best_weights)
''',
    ("ps4_early_stopping", "the patience counts bad epochs in all, not in a row"): '''
class EarlyStopping(Callback):
    def __init__(self, monitor: str = "val_loss", patience: int = 0) -> None:
        super().__init__()
        self.monitor = monitor
        self.patience = patience
        self.best = math.inf
        self.best_weights = None
        self.epochs_without_improvement = 0

    def on_train_begin(self) -> None:
        self.best = math.inf
        self.best_weights = None
        self.epochs_without_improvement = 0

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        if logs[self.monitor] < self.best:
            self.best = logs[self.monitor]
            state = self.model.state_dict()
            self.best_weights = {name: tensor.clone() for name, tensor in state.items()}
        else:
            self.epochs_without_improvement += 1
            if self.epochs_without_improvement >= self.patience:
                self.model.stop_training = True

    def on_train_end(self) -> None:
        if self.best_weights is not None:
            self.model.load_state_dict(self.best_weights)
''',
    ("ps4_manifold", "probabilities clamped to 0.01 and 0.99, whatever the tail"): '''
def quantile_codes(num: int, tail: float = 0.01) -> Tensor:
    probabilities = torch.linspace(tail, 1 - tail, num).clamp(0.01, 0.99)
    return torch.distributions.Normal(0.0, 1.0).icdf(probabilities)


def manifold_codes(values: Tensor) -> Tensor:
    second, first = torch.meshgrid(values.flip(0), values, indexing="ij")
    return torch.stack([first, second], dim=-1).reshape(-1, 2)
''',
    ("ps4_manifold", "one half and its mirror image, one value too many where num is even"): '''
def quantile_codes(num: int, tail: float = 0.01) -> Tensor:
    half = torch.special.ndtri(torch.linspace(tail, 0.5, num // 2 + 1))
    return torch.cat([half, -half[:-1].flip(0)])


def manifold_codes(values: Tensor) -> Tensor:
    second, first = torch.meshgrid(values.flip(0), values, indexing="ij")
    return torch.stack([first, second], dim=-1).reshape(-1, 2)
''',
    ("ps4_manifold", "codes built from plain numbers, on the CPU"): '''
def quantile_codes(num: int, tail: float = 0.01) -> Tensor:
    probabilities = torch.linspace(tail, 1 - tail, num)
    return torch.distributions.Normal(0.0, 1.0).icdf(probabilities)


def manifold_codes(values: Tensor) -> Tensor:
    numbers = values.tolist()
    return torch.tensor([[first, second] for second in numbers[::-1] for first in numbers])
''',
    ("ps4_manifold", "rows evenly spaced between the ends, not at the values"): '''
def quantile_codes(num: int, tail: float = 0.01) -> Tensor:
    probabilities = torch.linspace(tail, 1 - tail, num)
    return torch.distributions.Normal(0.0, 1.0).icdf(probabilities)


def manifold_codes(values: Tensor) -> Tensor:
    n = len(values)
    rows = torch.linspace(values[-1].item(), values[0].item(), n, device=values.device)
    return torch.stack([values.repeat(n), rows.repeat_interleave(n)], dim=1)
''',
    ("ps4_manifold", "arange leaves out its end, for most numbers of values"): '''
def quantile_codes(num: int, tail: float = 0.01) -> Tensor:
    step = (1 - 2 * tail) / (num - 1)
    probabilities = torch.arange(tail, 1 - tail, step)
    return torch.distributions.Normal(0.0, 1.0).icdf(probabilities)


def manifold_codes(values: Tensor) -> Tensor:
    second, first = torch.meshgrid(values.flip(0), values, indexing="ij")
    return torch.stack([first, second], dim=-1).reshape(-1, 2)
''',
    ("ps4_manifold", "looked up in a table that ends at -3 and 3"): '''
def quantile_codes(num: int, tail: float = 0.01) -> Tensor:
    table = torch.linspace(-3, 3, 10_001, dtype=torch.float64)
    cdf = torch.special.ndtr(table)
    probabilities = np.linspace(tail, 1 - tail, num)
    return torch.tensor(np.interp(probabilities, cdf.numpy(), table.numpy())).float()


def manifold_codes(values: Tensor) -> Tensor:
    second, first = torch.meshgrid(values.flip(0), values, indexing="ij")
    return torch.stack([first, second], dim=-1).reshape(-1, 2)
''',
    ("ps4_manifold", "evenly spaced values, not probabilities"): '''
def quantile_codes(num: int, tail: float = 0.01) -> Tensor:
    end = torch.distributions.Normal(0.0, 1.0).icdf(torch.tensor(1 - tail)).item()
    return torch.linspace(-end, end, num)


def manifold_codes(values: Tensor) -> Tensor:
    second, first = torch.meshgrid(values.flip(0), values, indexing="ij")
    return torch.stack([first, second], dim=-1).reshape(-1, 2)
''',
    ("ps4_manifold", "the tail halved between both ends"): '''
def quantile_codes(num: int, tail: float = 0.01) -> Tensor:
    probabilities = torch.linspace(tail / 2, 1 - tail / 2, num)
    return torch.distributions.Normal(0.0, 1.0).icdf(probabilities)


def manifold_codes(values: Tensor) -> Tensor:
    second, first = torch.meshgrid(values.flip(0), values, indexing="ij")
    return torch.stack([first, second], dim=-1).reshape(-1, 2)
''',
    ("ps4_manifold", "the bottom row comes first"): '''
def quantile_codes(num: int, tail: float = 0.01) -> Tensor:
    probabilities = torch.linspace(tail, 1 - tail, num)
    return torch.distributions.Normal(0.0, 1.0).icdf(probabilities)


def manifold_codes(values: Tensor) -> Tensor:
    second, first = torch.meshgrid(values, values, indexing="ij")
    return torch.stack([first, second], dim=-1).reshape(-1, 2)
''',
    ("ps4_manifold", "column by column"): '''
def quantile_codes(num: int, tail: float = 0.01) -> Tensor:
    probabilities = torch.linspace(tail, 1 - tail, num)
    return torch.distributions.Normal(0.0, 1.0).icdf(probabilities)


def manifold_codes(values: Tensor) -> Tensor:
    first, second = torch.meshgrid(values, values.flip(0), indexing="ij")
    return torch.stack([first, second], dim=-1).reshape(-1, 2)
''',
}

RIGHT = {
    ("ps4_padding", "TensorFlow's formula by remainder, zeros by slice assignment, narrow"): '''
def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    rest = size % stride
    total = kernel - (rest if rest else stride)
    if total < 0:
        total = 0
    before, odd = divmod(total, 2)
    return before, before + odd


class SameConv2d(nn.Conv2d):
    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, stride: int = 1):
        super().__init__(in_channels, out_channels, kernel_size, stride)

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        (above, below), (before, after) = (
            same_padding(*sizes) for sizes in zip((height, width), self.kernel_size, self.stride)
        )
        padded = x.new_zeros(batch, channels, above + height + below, before + width + after)
        padded[:, :, above : above + height, before : before + width] = x
        return F.conv2d(padded, self.weight, self.bias, self.stride)


class SameConvTranspose2d(nn.ConvTranspose2d):
    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, stride: int = 1):
        super().__init__(in_channels, out_channels, kernel_size, stride)

    def forward(self, x: Tensor) -> Tensor:
        maps = super().forward(x)
        for dim in (2, 3):
            kernel, stride = self.kernel_size[dim - 2], self.stride[dim - 2]
            maps = maps.narrow(dim, (kernel - stride) // 2, stride * x.shape[dim])
        return maps
''',
    ("ps4_padding", "counts zeros in a loop, unfold and einsum, padding= of conv_transpose2d"): '''
def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    wanted = (size + stride - 1) // stride
    zeros = [0, 0]
    while (size + sum(zeros) - kernel) // stride + 1 < wanted:
        zeros[0 if zeros[0] < zeros[1] else 1] += 1  # after, before, after, ...
    return zeros[0], zeros[1]


class SameConv2d(nn.Conv2d):
    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, stride: int = 1):
        super().__init__(in_channels, out_channels, kernel_size, stride)

    def forward(self, x: Tensor) -> Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        rows, columns = (same_padding(size, kernel, stride) for size in x.shape[2:])
        patches = F.unfold(F.pad(x, (*columns, *rows)), kernel, stride=stride)
        maps = torch.einsum("oc,bcl->bol", self.weight.flatten(1), patches)
        maps = maps + self.bias[:, None]
        return maps.unflatten(2, tuple(math.ceil(size / stride) for size in x.shape[2:]))


class SameConvTranspose2d(nn.ConvTranspose2d):
    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, stride: int = 1):
        super().__init__(in_channels, out_channels, kernel_size, stride)

    def forward(self, x: Tensor) -> Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        crop = (kernel - stride) // 2  # of both sides; an odd one more falls away at the end
        maps = F.conv_transpose2d(x, self.weight, self.bias, stride, padding=crop)
        return maps[..., : x.shape[2] * stride, : x.shape[3] * stride]
''',
    ("ps4_encoder", "PyTorch's own padding where it agrees, else ZeroPad2d, a ModuleList"): '''
class FashionEncoder(nn.Module):
    def __init__(
        self, latent_dim: int = 2, image_shape: tuple[int, int, int] = (1, 28, 28)
    ) -> None:
        super().__init__()
        channels = [image_shape[0], 32, 64, 64, 64]
        self.convolutions = nn.ModuleList()
        for number, (inside, outside) in enumerate(zip(channels, channels[1:])):
            if number == 1:  # an even map: one zero, below and to the right
                layer = nn.Sequential(
                    nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(inside, outside, 3, stride=2)
                )
            else:
                layer = nn.Conv2d(inside, outside, 3, padding="same")
            self.convolutions.append(layer)
        self.dense = nn.Linear(16 * image_shape[1] * image_shape[2], 32)
        self.heads = nn.ModuleList([nn.Linear(32, latent_dim) for _ in range(2)])
        self.apply(glorot_uniform)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        for layer in self.convolutions:
            x = F.threshold(layer(x), 0.0, 0.0)
        x = F.threshold(self.dense(x.reshape(x.shape[0], -1)), 0.0, 0.0)
        mu, log_var = (head(x) for head in self.heads)
        return mu, log_var
''',
    ("ps4_encoder", "size found by a dry run, Glorot's bound written out"): '''
class FashionEncoder(nn.Module):
    def __init__(
        self, latent_dim: int = 2, image_shape: tuple[int, int, int] = (1, 28, 28)
    ) -> None:
        super().__init__()
        layers = []
        for inside, outside, stride in (
            (image_shape[0], 32, 1), (32, 64, 2), (64, 64, 1), (64, 64, 1)
        ):
            layers += [SameConv2d(inside, outside, 3, stride), nn.ReLU()]
        self.maps = nn.Sequential(*layers, nn.Flatten())
        with torch.no_grad():
            size = self.maps(torch.zeros(1, *image_shape)).shape[1]
        self.trunk = nn.Sequential(nn.Linear(size, 32), nn.ReLU())
        self.to_mu, self.to_log_var = nn.Linear(32, latent_dim), nn.Linear(32, latent_dim)
        with torch.no_grad():
            for parameter in self.parameters():
                if parameter.ndim == 1:
                    parameter.fill_(0)
                else:
                    place = parameter[0, 0].numel()
                    bound = math.sqrt(6 / (place * (parameter.shape[0] + parameter.shape[1])))
                    parameter.uniform_(-bound, bound)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        hidden = self.trunk(self.maps(x))
        return self.to_mu(hidden), self.to_log_var(hidden)
''',
    ("ps4_sampling", "empty_like filled in place, addcmul"): '''
class Sampling(nn.Module):
    def forward(
        self, mu: Tensor, log_var: Tensor, generator: torch.Generator | None = None
    ) -> Tensor:
        noise = torch.empty_like(mu, requires_grad=False).normal_(generator=generator)
        return torch.addcmul(mu, noise, (log_var / 2).exp())
''',
    ("ps4_sampling", "a diagonal factor of the covariance, by einsum"): '''
class Sampling(nn.Module):
    def forward(
        self, mu: Tensor, log_var: Tensor, generator: torch.Generator | None = None
    ) -> Tensor:
        source = torch.normal(torch.zeros_like(mu), 1.0, generator=generator)
        factor = torch.diag_embed(torch.exp2(log_var / (2 * math.log(2))))
        return mu + torch.einsum("bij,bj->bi", factor, source)
''',
    ("ps4_decoder", "plain nn.ConvTranspose2d cut by a slice, the sigmoid as a tanh"): '''
class FashionDecoder(nn.Module):
    def __init__(
        self, latent_dim: int = 2, image_shape: tuple[int, int, int] = (1, 28, 28)
    ) -> None:
        super().__init__()
        self.image_shape = tuple(image_shape)
        channels, height, width = image_shape
        self.dense = nn.Linear(latent_dim, 16 * height * width)
        self.up = nn.ConvTranspose2d(64, 32, 3, stride=2)
        self.out = nn.ConvTranspose2d(32, channels, 3, padding=1)
        glorot_uniform(self)

    def forward(self, z: Tensor) -> Tensor:
        _, height, width = self.image_shape
        maps = torch.relu(self.dense(z)).reshape(len(z), 64, height // 2, width // 2)
        maps = torch.relu(self.up(maps))[:, :, :height, :width]
        return 0.5 * (1 + torch.tanh(self.out(maps) / 2))
''',
    ("ps4_decoder", "the linear layer by einsum, weights drawn by hand"): '''
class FashionDecoder(nn.Module):
    def __init__(
        self, latent_dim: int = 2, image_shape: tuple[int, int, int] = (1, 28, 28)
    ) -> None:
        super().__init__()
        self.small = (64, image_shape[1] // 2, image_shape[2] // 2)
        self.linear = nn.Linear(latent_dim, math.prod(self.small))
        self.transposed = nn.ModuleList(
            [SameConvTranspose2d(64, 32, 3, 2), SameConvTranspose2d(32, image_shape[0], 3, 1)]
        )
        for parameter in self.parameters():
            bound = 0.0
            if parameter.ndim >= 2:
                fan_in, fan_out = nn.init._calculate_fan_in_and_fan_out(parameter)
                bound = (6 / (fan_in + fan_out)) ** 0.5
            nn.init.uniform_(parameter, -bound, bound)

    def forward(self, z: Tensor) -> Tensor:
        h = torch.einsum("bk,nk->bn", z, self.linear.weight) + self.linear.bias
        h = torch.relu(h).unflatten(1, self.small)
        h = torch.relu(self.transposed[0](h))
        return torch.special.expit(self.transposed[1](h))
''',
    ("ps4_seed_loss", "a loop over images, torch.distributions, beta from a known case"): '''
def seed_loss(x: Tensor, x_hat: Tensor, mu: Tensor, log_var: Tensor) -> Tensor:
    posterior = torch.distributions.Normal(mu, torch.exp(log_var / 2))
    prior = torch.distributions.Normal(torch.zeros_like(mu), torch.ones_like(mu))
    bracket = -2 * torch.distributions.kl_divergence(posterior, prior)
    pixels = [F.binary_cross_entropy(guess, image) for image, guess in zip(x, x_hat)]
    return torch.stack(pixels).mean() - 5e-4 * bracket.mean()


def hidden_beta(latent_dim: int, num_pixels: int = 784, kl_weight: float = 5e-4) -> float:
    # A posterior with variance 1 and all means 1: the bracket's mean is -1, the KL is k / 2.
    published_per_image = num_pixels * kl_weight * 1.0
    kl = 0.5 * latent_dim
    return published_per_image / kl
''',
    ("ps4_seed_loss", "sums and counts, expm1"): '''
def seed_loss(x: Tensor, x_hat: Tensor, mu: Tensor, log_var: Tensor) -> Tensor:
    cross_entropy = F.binary_cross_entropy(x_hat, x, reduction="sum") / x.numel()
    excess = torch.expm1(log_var) - log_var  # exp(log_var) - 1 - log_var
    divergence = (torch.einsum("bk,bk->", mu, mu) + excess.sum()) / mu.numel()
    return cross_entropy + 5e-4 * divergence


def hidden_beta(latent_dim: int, num_pixels: int = 784, kl_weight: float = 5e-4) -> float:
    per_nat = kl_weight / latent_dim / 0.5
    return per_nat * num_pixels
''',
    ("ps4_loss", "a loop over images, the divergence from torch.distributions"): '''
def cross_entropy_terms(
    x: Tensor, x_hat: Tensor, mu: Tensor, log_var: Tensor, beta: float = 1.0
) -> dict[str, Tensor]:
    normal = torch.distributions.Normal
    nll = torch.stack([
        F.binary_cross_entropy(guess, image, reduction="sum") for image, guess in zip(x, x_hat)
    ])
    prior = normal(torch.zeros_like(mu), torch.ones_like(mu))
    kl = torch.distributions.kl_divergence(normal(mu, (log_var / 2).exp()), prior).sum(-1)
    terms = {"nll": nll, "kl": kl}
    terms["loss"] = torch.add(nll, kl, alpha=beta)
    return terms
''',
    ("ps4_loss", "einsum and expm1"): '''
def cross_entropy_terms(
    x: Tensor, x_hat: Tensor, mu: Tensor, log_var: Tensor, beta: float = 1.0
) -> dict[str, Tensor]:
    count = x.shape[0]
    pixels = F.binary_cross_entropy(
        x_hat.reshape(count, -1), x.reshape(count, -1), reduction="none"
    )
    nll = torch.einsum("bp->b", pixels)
    spread = torch.einsum("bk->b", torch.expm1(log_var) - log_var)
    kl = (torch.einsum("bk,bk->b", mu, mu) + spread) / 2
    return dict(loss=nll + kl * beta, nll=nll, kl=kl)
''',
    ("ps4_tracker", "all values as plain numbers, fsum"): '''
class Mean:
    def __init__(self, name: str) -> None:
        self.name = name
        self._seen: list[float] = []

    def reset_state(self) -> None:
        self._seen = []

    def update_state(self, values: Tensor) -> None:
        self._seen += values.detach().double().cpu().tolist()

    def result(self) -> float:
        try:
            return math.fsum(self._seen) / len(self._seen)
        except ZeroDivisionError:
            return math.nan
''',
    ("ps4_tracker", "a running mean, corrected batch by batch"): '''
class Mean:
    def __init__(self, name: str) -> None:
        self.name = name
        self.state = (0, float("nan"))

    def reset_state(self) -> None:
        self.__init__(self.name)

    def update_state(self, values: Tensor) -> None:
        seen, mean = self.state
        new = values.shape[0]
        if new == 0:
            return
        batch_mean = values.detach().to(torch.float64).mean().item()
        if seen == 0:
            self.state = (new, batch_mean)
        else:
            self.state = (seen + new, mean + (batch_mean - mean) * new / (seen + new))

    def result(self) -> float:
        return self.state[1]
''',
    ("ps4_fit", "a DataLoader with a generator of its own"): '''
from torch.utils.data import DataLoader, TensorDataset


def fit_model(
    model: nn.Module,
    x: Tensor,
    epochs: int = 1,
    batch_size: int = 32,
    validation_split: float = 0.0,
    callbacks: Sequence[Callback] = (),
    seed: int = 0,
    verbose: bool = True,
) -> History:
    split = int(len(x) * (1 - validation_split))
    own = torch.Generator()
    own.manual_seed(seed)
    loader = DataLoader(TensorDataset(x[:split]), batch_size, shuffle=True, generator=own)
    history, model.stop_training = History(), False
    [callback.set_model(model) for callback in callbacks]
    [callback.on_train_begin() for callback in callbacks]
    for epoch in range(epochs):
        model.reset_metrics()
        model.train(True)
        with tqdm(total=split, leave=False, disable=not verbose) as bar:
            for (batch,) in loader:
                model.train_step(batch.to(model.device))
                bar.update(len(batch))
        logs = {**model.get_metrics_result()}
        if split < len(x):
            logs |= {"val_" + key: number for key, number in model.evaluate(x[split:]).items()}
        history.record(epoch, logs)
        verbose and print(epoch_line(epoch, epochs, logs))
        [callback.on_epoch_end(epoch, logs) for callback in callbacks]
        if model.stop_training:
            break
    [callback.on_train_end() for callback in callbacks]
    return history
''',
    ("ps4_fit", "all orders by argsort, batches by range and index_select"): '''
def fit_model(
    model: nn.Module,
    x: Tensor,
    epochs: int = 1,
    batch_size: int = 32,
    validation_split: float = 0.0,
    callbacks: Sequence[Callback] = (),
    seed: int = 0,
    verbose: bool = True,
) -> History:
    n = int(len(x) * (1 - validation_split))
    rng = torch.Generator().manual_seed(seed)
    history = History()
    setattr(model, "stop_training", False)
    for watcher in callbacks:
        watcher.set_model(model)
    for watcher in callbacks:
        watcher.on_train_begin()
    for epoch in range(epochs):
        order = torch.rand(n, generator=rng, dtype=torch.float64).argsort().to(x.device)
        model.reset_metrics()
        starts = range(0, n, batch_size)
        for start in tqdm(starts, leave=False, disable=not verbose):
            model.train()
            batch = x.index_select(0, order[start : start + batch_size])
            model.train_step(batch.to(model.device))
        logs = {}
        for name, value in model.get_metrics_result().items():
            logs[name] = value
        if n != len(x):
            for name, value in model.evaluate(x[n:]).items():
                logs["val_" + name] = value
        history.record(epoch, logs)
        if verbose:
            print(epoch_line(epoch, epochs, logs))
        for watcher in callbacks:
            watcher.on_epoch_end(epoch, logs)
        if model.stop_training:
            break
    for watcher in callbacks:
        watcher.on_train_end()
    return history
''',
    ("ps4_model", "autograd.grad, metrics by setattr, no optimiser.zero_grad"): '''
class KerasVAE(KerasModel):
    def __init__(
        self,
        latent_dim: int = 2,
        beta: float = 0.392,
        image_shape: tuple[int, int, int] = (1, 28, 28),
    ) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.beta = beta
        self.image_shape = image_shape
        self.encoder = FashionEncoder(image_shape=image_shape, latent_dim=latent_dim)
        self.decoder = FashionDecoder(image_shape=image_shape, latent_dim=latent_dim)
        self.sampler = Sampling()
        for name in ("kl", "nll", "loss"):
            setattr(self, f"{name}_tracker", Mean(name))

    def forward(
        self, x: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        posterior = self.encoder(x)
        return (self.decoder(self.sampler(*posterior, generator)), *posterior)

    def train_step(self, batch: Tensor) -> None:
        terms = keras_terms(self, batch)
        weights = [weight for weight in self.parameters() if weight.requires_grad]
        gradients = torch.autograd.grad(terms["loss"].mean(), weights)
        for weight, gradient in zip(weights, gradients):
            weight.grad = gradient
        self.optimizer.step()
        self._note(terms)

    def test_step(self, batch: Tensor) -> None:
        with torch.no_grad():
            self._note(keras_terms(self, batch))

    def predict_step(self, batch: Tensor) -> Tensor:
        return self.decoder(self.encoder(batch)[0])

    def _note(self, terms: dict[str, Tensor]) -> None:
        self.loss_tracker.update_state(terms["loss"].detach())
        self.nll_tracker.update_state(terms["nll"].detach())
        self.kl_tracker.update_state(terms["kl"].detach())
''',
    ("ps4_model", "backward with a weight for each image, gradients emptied by hand"): '''
class KerasVAE(KerasModel):
    def __init__(
        self,
        latent_dim: int = 2,
        beta: float = 0.392,
        image_shape: tuple[int, int, int] = (1, 28, 28),
    ) -> None:
        super().__init__()
        self.beta, self.latent_dim, self.image_shape = beta, latent_dim, image_shape
        self.encoder, self.draw = FashionEncoder(latent_dim, image_shape), Sampling()
        self.decoder = FashionDecoder(latent_dim, image_shape)
        self.a, self.b, self.c = map(Mean, ("loss", "nll", "kl"))

    def forward(
        self, x: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        mu, log_var = self.encoder(x)
        return self.decoder(self.draw(mu, log_var, generator=generator)), mu, log_var

    def train_step(self, batch: Tensor) -> None:
        for parameter in self.parameters():
            parameter.grad = None
        loss = self._terms(batch)["loss"]
        loss.backward(torch.full_like(loss, 1 / len(batch)))
        self.optimizer.step()

    def test_step(self, batch: Tensor) -> None:
        self._terms(batch)

    def _terms(self, batch: Tensor) -> dict[str, Tensor]:
        terms = keras_terms(self, batch)
        for metric in (self.a, self.b, self.c):
            metric.update_state(terms[metric.name])
        return terms

    def predict_step(self, batch: Tensor) -> Tensor:
        return self.decoder(self.encoder(batch)[0])
''',
    ("ps4_early_stopping", "a list of all losses, and the place of the least of them"): '''
from copy import deepcopy


class EarlyStopping(Callback):
    def __init__(self, monitor: str = "val_loss", patience: int = 0) -> None:
        super().__init__()
        self.monitor, self.patience = monitor, patience
        self.on_train_begin()

    def on_train_begin(self) -> None:
        self.seen: list[float] = []
        self.best_weights = None

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        value = logs[self.monitor]
        self.seen.append(math.inf if math.isnan(value) else value)
        place = self.seen.index(min(self.seen))  # the first of the smallest
        if place == len(self.seen) - 1 and self.seen[place] != math.inf:
            self.best_weights = deepcopy(self.model.state_dict())
        bad = len(self.seen) if self.best_weights is None else len(self.seen) - 1 - place
        if bad > 0 and bad >= self.patience:
            self.model.stop_training = True

    def on_train_end(self) -> None:
        if self.best_weights:
            self.model.load_state_dict(self.best_weights)
''',
    ("ps4_early_stopping", "counts the patience down, weights as bytes"): '''
class EarlyStopping(Callback):
    def __init__(self, monitor: str = "val_loss", patience: int = 0) -> None:
        super().__init__()
        self.monitor = monitor
        self.patience = patience
        self._forget()

    def _forget(self) -> None:
        self.best = float("inf")
        self.kept = b""
        self.left = max(1, self.patience)

    def on_train_begin(self) -> None:
        self._forget()

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        loss = logs[self.monitor]
        if not loss < self.best:
            self.left -= 1
            if self.left <= 0:
                self.model.stop_training = True
            return
        self.best, self.left = loss, max(1, self.patience)
        buffer = io.BytesIO()
        torch.save(self.model.state_dict(), buffer)
        self.kept = buffer.getvalue()

    def on_train_end(self) -> None:
        if self.kept:
            weights = torch.load(io.BytesIO(self.kept), weights_only=True)
            self.model.load_state_dict(weights)
''',
    ("ps4_manifold", "Python's NormalDist, two loops"): '''
from statistics import NormalDist


def quantile_codes(num: int, tail: float = 0.01) -> Tensor:
    step = (1 - 2 * tail) / (num - 1)
    lower = [NormalDist().inv_cdf(tail + number * step) for number in range((num + 1) // 2)]
    if num % 2 == 1:
        lower[-1] = 0.0  # the middle
    upper = [-value for value in reversed(lower[: num // 2])]
    return torch.tensor(lower + upper)


def manifold_codes(values: Tensor) -> Tensor:
    codes = values.new_empty(len(values) ** 2, 2)
    row = 0
    for second in reversed(range(len(values))):
        for first in range(len(values)):
            codes[row, 0], codes[row, 1] = values[first], values[second]
            row += 1
    return codes
''',
    ("ps4_manifold", "erfinv in double precision, cartesian_prod"): '''
def quantile_codes(num: int, tail: float = 0.01) -> Tensor:
    centred = torch.linspace(2 * tail - 1, 1 - 2 * tail, num, dtype=torch.float64)
    return (math.sqrt(2) * torch.erfinv(centred)).float()


def manifold_codes(values: Tensor) -> Tensor:
    return torch.cartesian_prod(values.flip(0), values).flip(1)
''',
}

ARGUABLE = {
    ("ps4_seed_loss", "logarithms by hand, nan where a probability is exactly 0 or 1"): (
        "The text gives these logarithms as the published formula, and the docstring says that "
        "the function is there to compare with, not to train with."
    ),
    ("ps4_fit", "prints its line whatever verbose says"): (
        "What is shown on the screen is not judged: right answers may leave the line out as well."
    ),
    ("ps4_early_stopping", "keeps the parameters and not the buffers"): (
        "The docstring speaks of weights, and no model of this assignment has any buffers."
    ),
}
