# %% ps1_conv_size_answer
def conv_output_size(size: int, kernel: int, stride: int, padding: int = 0) -> int:
    last_start = size + 2 * padding - kernel
    return len(range(0, last_start + 1, stride))


def conv_transpose_output_size(size: int, kernel: int, stride: int, padding: int = 0) -> int:
    covered = kernel + stride * (size - 1)
    return covered - 2 * padding


# %% ps1_encoder_answer
class Encoder(nn.Module):
    def __init__(self, num_outputs: int = 64) -> None:
        super().__init__()
        # (channels in, channels out, kernel, padding, BatchNorm?)
        plan = [(1, 32, 4, 1, False), (32, 64, 4, 1, True), (64, 128, 3, 0, True), (128, 256, 3, 0, True)]
        self.convs = nn.ModuleList()
        for a, b, k, p, norm in plan:
            block = nn.Sequential(nn.Conv2d(a, b, k, stride=2, padding=p))
            if norm:
                block.append(nn.BatchNorm2d(b))
            block.append(nn.LeakyReLU(0.2))
            self.convs.append(block)
        self.head = nn.Linear(256, num_outputs)

    def forward(self, x: Tensor) -> Tensor:
        for block in self.convs:
            x = block(x)
        return self.head(x.flatten(start_dim=1))


# %% ps1_decoder_answer
class Decoder(nn.Module):
    def __init__(self, latent_dim: int = 64) -> None:
        super().__init__()
        self.fc = nn.Linear(latent_dim, 256)
        self.bn0, self.bn1, self.bn2 = (nn.BatchNorm2d(c) for c in (256, 128, 64))
        self.up1 = nn.ConvTranspose2d(256, 128, 3, stride=2)
        self.up2 = nn.ConvTranspose2d(128, 64, 3, stride=2)
        self.up3 = nn.ConvTranspose2d(64, 32, 4, stride=2, padding=1)
        self.up4 = nn.ConvTranspose2d(32, 1, 4, stride=2, padding=1)

    def forward(self, z: Tensor) -> Tensor:
        act = lambda t: F.leaky_relu(t, 0.2)
        h = self.fc(z)[:, :, None, None]
        h = act(self.bn0(h))
        h = act(self.bn1(self.up1(h)))
        h = act(self.bn2(self.up2(h)))
        h = act(self.up3(h))
        return self.up4(h).sigmoid()


# %% ps1_autoencoder_answer
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
        try:
            with torch.inference_mode():
                return self.eval()(x)
        finally:
            self.train(was_training)


# %% ps1_squared_error_answer
def squared_error(x_hat: Tensor, x: Tensor) -> Tensor:
    d = (x_hat - x).flatten(1)
    return torch.einsum("bi,bi->b", d, d)


# %% ps1_train_epoch_answer
def train_epoch(
    model: nn.Module,
    loader: Iterable[tuple[Tensor, Tensor]],
    optimizer: Optimizer,
    loss_terms: Callable[[nn.Module, Tensor], dict[str, Tensor]],
) -> dict[str, float]:
    device = next(model.parameters()).device
    model.train()
    collected = {}
    for images, _ in loader:
        terms = loss_terms(model, images.to(device))
        optimizer.zero_grad()
        terms["loss"].mean().backward()
        optimizer.step()
        for name, values in terms.items():
            collected.setdefault(name, []).append(values.detach())
    return {name: torch.cat(parts).mean().item() for name, parts in collected.items()}


# %% ps1_evaluate_answer
def evaluate(
    model: nn.Module,
    loader: Iterable[tuple[Tensor, Tensor]],
    loss_terms: Callable[[nn.Module, Tensor], dict[str, Tensor]],
) -> dict[str, float]:
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    collected = {}
    with torch.no_grad():
        for images, _ in loader:
            for name, values in loss_terms(model, images.to(device)).items():
                collected.setdefault(name, []).append(values)
    model.train(was_training)
    return {name: torch.cat(parts).mean().item() for name, parts in collected.items()}


# %% ps1_fault_answer
def error_by_label(model: nn.Module, loader: Iterable[tuple[Tensor, Tensor]]) -> dict[int, float]:
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    seen, errors = [], []
    with torch.no_grad():
        for images, labels in loader:
            images = images.to(device)
            errors.append(squared_error(model(images), images).cpu())
            seen.append(labels.cpu())
    model.train(was_training)
    seen, errors = torch.cat(seen), torch.cat(errors)
    return {label: errors[seen == label].mean().item() for label in seen.unique().tolist()}


# %% ps1_pca_answer
def pca_reconstruct(train: Tensor, x: Tensor, num_components: int) -> Tensor:
    mean = train.mean(dim=0, keepdim=True)
    centred = train - mean
    _, vectors = torch.linalg.eigh(centred.T @ centred)  # eigenvalues rise: the best are last
    v = vectors[:, vectors.shape[1] - num_components :]
    return torch.einsum("nd,dk,ek->ne", x - mean, v, v) + mean


# %% ps1_sample_prior_answer
def sample_prior(
    decoder: nn.Module,
    num_samples: int,
    latent_dim: int,
    generator: torch.Generator | None = None,
) -> Tensor:
    device = next(decoder.parameters()).device
    z = torch.randn(num_samples, latent_dim, generator=generator, device=device)
    mode = decoder.training
    decoder.eval()
    with torch.inference_mode():
        images = decoder(z)
    decoder.train(mode)
    return images
