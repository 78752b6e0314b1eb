# %% ps5_scale_answer
def scale_images(images: Tensor) -> Tensor:
    unit = images.div(255) if images.dtype is torch.uint8 else images
    return unit.sub(0.5).mul(2)


def unscale_images(x: Tensor) -> Tensor:
    return x.div(2).add(0.5).clamp(0, 1)


# %% ps5_encoder_answer
class FaceEncoder(nn.Module):
    def __init__(self, latent_dim: int, channels: int = 3) -> None:
        super().__init__()
        self.expected = torch.Size([channels, FACE_SIZE, FACE_SIZE])
        widths = [channels, 32, 32, 64, 64]
        body = []
        for before, after in zip(widths, widths[1:]):
            body += [nn.Conv2d(before, after, 4, stride=2, padding=1), nn.ReLU()]
        body += [nn.Conv2d(64, 256, 4), nn.ReLU(), nn.Flatten()]
        self.body = nn.Sequential(*body)
        self.heads = nn.Linear(256, 2 * latent_dim)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        if x.ndim != 4 or x.shape[1:] != self.expected:
            raise ValueError(f"images of {tuple(x.shape)} came, (B, *{tuple(self.expected)}) is needed")
        mu, raw = self.heads(self.body(x)).chunk(2, dim=1)
        return mu, F.softplus(raw) + VAR_FLOOR


# %% ps5_decoder_answer
class FaceDecoder(nn.Module):
    def __init__(self, latent_dim: int, channels: int = 3) -> None:
        super().__init__()
        layers = [nn.Linear(latent_dim, 256), nn.Unflatten(1, (256, 1, 1)), nn.ReLU()]
        layers += [nn.ConvTranspose2d(256, 64, 4), nn.ReLU()]
        for before, after in ((64, 64), (64, 32), (32, 32)):
            layers += [nn.ConvTranspose2d(before, after, 4, 2, 1), nn.ReLU()]
        layers += [nn.ConvTranspose2d(32, channels, 4, 2, 1), nn.Tanh()]
        self.net = nn.Sequential(*layers)

    def forward(self, z: Tensor) -> Tensor:
        return self.net(z)


# %% ps5_log_likelihood_answer
def gaussian_log_likelihood(x: Tensor, mean: Tensor, var: Tensor | float = 1.0) -> Tensor:
    std = torch.as_tensor(var, dtype=x.dtype, device=x.device).sqrt()
    per_pixel = Normal(mean, std).log_prob(x)
    return torch.einsum("bi->b", per_pixel.reshape(len(x), -1))


# %% ps5_sample_answer
def draw_gaussian(
    mean: Tensor, var: Tensor | float, generator: torch.Generator | None = None
) -> Tensor:
    eps = torch.randn(mean.shape, generator=generator, dtype=mean.dtype, device=mean.device)
    return torch.addcmul(mean, eps, torch.as_tensor(var, dtype=mean.dtype, device=mean.device).sqrt())


# %% ps5_kl_answer
def gaussian_kl_from_var(mu: Tensor, var: Tensor) -> Tensor:
    prior = Normal(torch.zeros_like(mu), torch.ones_like(mu))
    return torch.distributions.kl_divergence(Normal(mu, var.sqrt()), prior).sum(-1)


# %% ps5_model_answer
class FaceVAE(nn.Module):
    def __init__(self, latent_dim: int = 100, channels: int = 3, var_x: float = 0.1) -> None:
        super().__init__()
        self.latent_dim, self.channels, self.var_x = latent_dim, channels, var_x
        self.encode_net = FaceEncoder(latent_dim, channels)
        self.decode_net = FaceDecoder(latent_dim, channels)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.encode_net(x)

    def decode(self, z: Tensor) -> Tensor:
        return self.decode_net(z)

    def forward(
        self, x: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        mu, var = self.encode(x)
        return self.decode(draw_gaussian(mu, var, generator)), mu, var

    @torch.no_grad()
    def reconstruct(self, x: Tensor) -> Tensor:
        mode = self.training
        self.eval()
        try:
            return self.decode(self.encode(x)[0])
        finally:
            self.train(mode)

    @torch.no_grad()
    def sample(
        self, num_samples: int, generator: torch.Generator | None = None, noisy: bool = False
    ) -> Tensor:
        mode = self.training
        self.eval()
        try:
            weight = next(self.parameters())
            prior_mean = weight.new_zeros(num_samples, self.latent_dim)
            x = self.decode(draw_gaussian(prior_mean, 1.0, generator))
            return draw_gaussian(x, self.var_x, generator) if noisy else x
        finally:
            self.train(mode)


# %% ps5_checkpoint_answer
SETTINGS = ("latent_dim", "channels", "var_x")


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
    source = torch.default_generator if generator is None else generator
    everything = {
        "settings": {name: getattr(model, name) for name in SETTINGS},
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "epoch": epoch,
        "history": history,
        "random": source.get_state(),
    }
    half = path.with_name(path.name + ".half")
    torch.save(everything, half)
    os.replace(half, path)


def restore_checkpoint(
    path: str | Path,
    model: FaceVAE,
    optimizer: Optimizer,
    generator: torch.Generator | None = None,
) -> tuple[int, dict]:
    kept = torch.load(path, map_location="cpu")
    differs = [
        f"{name} is {kept['settings'][name]} in the file and {getattr(model, name)} in the model"
        for name in SETTINGS
        if kept["settings"][name] != getattr(model, name)
    ]
    if differs:
        raise ValueError("; ".join(differs))
    model.load_state_dict(kept["model"])
    optimizer.load_state_dict(kept["optimizer"])
    (torch.default_generator if generator is None else generator).set_state(kept["random"])
    return kept["epoch"], kept["history"]


def restore_face_vae(path: str | Path) -> FaceVAE:
    kept = torch.load(path, map_location="cpu")
    model = FaceVAE(**kept["settings"])
    model.load_state_dict(kept["model"])
    return model


# %% ps5_interpolate_answer
@torch.no_grad()
def interpolate_faces(
    model: FaceVAE, x_start: Tensor, x_end: Tensor, num_frames: int = 11
) -> Tensor:
    mode = model.training
    model.eval()
    z_start, z_end = model.encode(torch.stack([x_start, x_end]))[0]
    w = torch.linspace(0, 1, num_frames).to(z_start).unsqueeze(1)
    frames = model.decode(torch.lerp(z_start, z_end, w))
    model.train(mode)
    return frames


# %% ps5_attributes_answer
def attribute_direction(codes: Tensor, has_attribute: Tensor) -> Tensor:
    flags = has_attribute.bool().to(codes.device)
    if flags.all() or not flags.any():
        raise ValueError("all images have the attribute, or none: nothing to compare")
    return codes[flags].mean(0) - codes[~flags].mean(0)


@torch.no_grad()
def edit_faces(model: FaceVAE, x: Tensor, direction: Tensor, strength: float = 1.0) -> Tensor:
    mode = model.training
    model.eval()
    mu = model.encode(x)[0]
    images = model.decode(mu.add(direction.to(mu), alpha=strength))
    model.train(mode)
    return images
