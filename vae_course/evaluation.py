"""What there is to know of a trained model besides its loss: small pure functions of tensors."""

import torch
from torch import Tensor


def kl_per_dimension(mu: Tensor, var: Tensor) -> Tensor:
    """How many nats each latent dimension spends: KL(q(z|x) || N(0, 1)), averaged over images.

    Their sum is the divergence of the ELBO. A dimension that spends nothing has collapsed: it says
    the same of every image.

    Args:
        mu: the posterior means of many images, of shape (N, k).
        var: the posterior variances, of the same shape, all positive.

    Returns:
        Nats, of shape (k,).
    """
    return 0.5 * (mu.square() + var - 1 - var.log()).mean(dim=0)


def aggregate_moments(mu: Tensor, var: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and covariance of the aggregate posterior, the mixture of all images' q(z|x).

    Samples are decoded from the prior, so the decoder has learnt from codes like them only if this
    mixture looks like N(0, I) (Hoffman and Johnson 2016, "ELBO surgery"; Tomczak and Welling 2018).

    Args:
        mu, var: as for `kl_per_dimension`.

    Returns:
        The mean, of shape (k,), and the covariance, of shape (k, k): that of the means, plus the
        mean of the variances on its diagonal.
    """
    centred = mu - mu.mean(dim=0)
    covariance = centred.T @ centred / len(mu) + var.mean(dim=0).diag()
    return mu.mean(dim=0), covariance


def principal_components(images: Tensor, num_components: int = 64) -> Tensor:
    """The directions in which images differ most.

    Args:
        images: of shape (N, ...), more of them than components.
        num_components: how many directions.

    Returns:
        Orthonormal columns, of shape (D, num_components), for images of D numbers each; the one of
        the largest variance first.
    """
    flat = images.flatten(1).double()
    centred = flat - flat.mean(dim=0)
    num_images, num_values = centred.shape
    if num_values <= num_images:
        _, vectors = torch.linalg.eigh(centred.T @ centred)
        return vectors.flip(1)[:, :num_components]
    # Fewer images than numbers in each: the same directions, from products of images.
    values, vectors = torch.linalg.eigh(centred @ centred.T)
    kept = values.flip(0)[:num_components].clamp_min(1e-12).sqrt()
    return centred.T @ vectors.flip(1)[:, :num_components] / kept


def frechet_distance(first: Tensor, second: Tensor) -> float:
    """How far apart two clouds of points are, by their means and covariances alone.

    It is the squared distance of Frechet between the Gaussians that have these means and
    covariances (Dowson and Landau 1982):
        |m_1 - m_2|^2 + tr(C_1 + C_2 - 2 (C_1 C_2)^(1/2)).
    What is widely called FID is this number on the features of one particular classifier. On other
    features it is another number, and the two are not to be compared.

    Args:
        first: of shape (N, D), more points than dimensions if it is to mean much.
        second: of shape (M, D).

    Returns:
        The distance, 0 for clouds of the same mean and covariance.
    """
    first, second = first.double(), second.double()
    root = _root(torch.cov(first.T))
    # The eigenvalues of C_1 C_2 are those of a symmetric matrix, which has a safe square root.
    mixed = torch.linalg.eigvalsh(root @ torch.cov(second.T) @ root).clamp_min(0).sqrt().sum()
    traces = torch.cov(first.T).trace() + torch.cov(second.T).trace()
    shift = (first.mean(dim=0) - second.mean(dim=0)).square().sum()
    return float(shift + traces - 2 * mixed)


def _root(covariance: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(covariance)
    return (vectors * values.clamp_min(0).sqrt()) @ vectors.T
