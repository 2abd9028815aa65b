"""Networks that tell pulses of the sky from interference: the published ones, and a small one of our own.

All take cut-outs of which mean and standard deviation are 0 and 1. What they give is a logit of interference.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class PulseNetwork(nn.Module):
    """The small one: looks at sums of the cut-out that raise a weak pulse over the noise; 147 thousand weights.

    Input axes (event, 16 channels, 25 samples, 11, 11), output (event,).
    """

    input_shape = (16, 25, 11, 11)
    WINDOWS = (1, 5, 17)
    BEAM_PX = 3.0

    def __init__(self) -> None:
        super().__init__()
        channels, samples, size, _ = self.input_shape
        self.image1 = nn.Conv2d(channels * len(self.WINDOWS) + samples, 48, 3, padding=1)
        self.image2 = nn.Conv2d(48, 48, 3, padding=1)
        self.image3 = nn.Linear(48 * (size // 2) ** 2, 64)
        self.spectrum1 = nn.Conv2d(2, 16, 3, padding=1)
        self.spectrum2 = nn.Conv2d(16, 16, 3, padding=1)
        self.spectrum3 = nn.Linear(16 * (channels // 4) * (samples // 4), 32)
        self.both = nn.Linear(64 + 32, 32)
        self.logit = nn.Linear(32, 1)
        pixel = torch.arange(size) - size // 2
        radius = torch.hypot(pixel[:, None].float(), pixel[None, :].float())
        beam = torch.exp(-4.0 * torch.log(torch.tensor(2.0)) * (radius / self.BEAM_PX) ** 2)
        around = (radius > 1.2 * self.BEAM_PX).float()
        regions = torch.stack([beam / beam.norm(), around / around.norm()])
        self.register_buffer("regions", regions, persistent=False)

    def forward(self, cutouts: Tensor) -> Tensor:
        return self.judge(*self.views(cutouts))

    def views(self, cutouts: Tensor) -> tuple[Tensor, Tensor]:
        """What it looks at, nothing of which is learnt.

        Images are those of each channel, summed over 1, 5 and 17 samples in the middle, and those of each sample,
        summed over the band. Spectra are those of the beam and of what surrounds it. All are scaled to noise of 1, and
        their inverse hyperbolic sine tames strong ones.

        Returns:
            Images (event, plane, 11, 11), spectra (event, 2, channel, sample).
        """
        samples = cutouts.shape[2]
        images = []
        for window in self.WINDOWS:
            first = (samples - window) // 2
            images.append(cutouts[:, :, first : first + window].sum(2) / window**0.5)
        images.append(cutouts.sum(1) / cutouts.shape[1] ** 0.5)
        spectra = torch.einsum("nctyx,ryx->nrct", cutouts, self.get_buffer("regions"))
        return torch.asinh(torch.cat(images, 1)), torch.asinh(spectra)

    def judge(self, images: Tensor, spectra: Tensor) -> Tensor:
        """The logits; axis: event."""
        images = functional.relu(self.image1(images))
        images = functional.max_pool2d(functional.relu(self.image2(images)), 2)
        image = functional.relu(self.image3(images.flatten(1)))
        spectra = functional.max_pool2d(functional.relu(self.spectrum1(spectra)), 2)
        spectra = functional.max_pool2d(functional.relu(self.spectrum2(spectra)), 2)
        spectrum = functional.relu(self.spectrum3(spectra.flatten(1)))
        both = functional.relu(self.both(torch.cat([image, spectrum], 1)))
        logit: Tensor = self.logit(both)
        return logit[:, 0]


class EnhancedCNN(nn.Module):
    """The published network of images, 5.23 million weights, with the names and shapes of its state dict.

    Input axes (event, 16 channels, 50, 50), output (event,).
    """

    input_shape = (16, 50, 50)

    def __init__(self, channels: int = 16) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 64, 3, padding=1)
        self.conv2 = nn.Conv2d(64, 128, 3, padding=1)
        self.conv3 = nn.Conv2d(128, 256, 3, padding=1)
        self.fc1 = nn.Linear(256 * 6 * 6, 512)
        self.fc2 = nn.Linear(512, 256)
        self.fc3 = nn.Linear(256, 1)

    def forward(self, images: Tensor) -> Tensor:
        for layer in (self.conv1, self.conv2, self.conv3):
            images = functional.max_pool2d(functional.relu(layer(images)), 2)
        hidden = functional.relu(self.fc1(images.flatten(1)))
        logit: Tensor = self.fc3(functional.relu(self.fc2(hidden)))
        return logit[:, 0]


class Enhanced3DCNN(nn.Module):
    """The published network of image sequences, 15.4 million weights, with the names and shapes of its state dict.

    Input axes (event, 16 channels, 25 samples, 50, 50), output (event,).
    """

    input_shape = (16, 25, 50, 50)

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv3d(16, 64, 3, padding=1), nn.BatchNorm3d(64)
        self.conv2, self.bn2 = nn.Conv3d(64, 128, 3, padding=1), nn.BatchNorm3d(128)
        self.conv3, self.bn3 = nn.Conv3d(128, 256, 3, padding=1), nn.BatchNorm3d(256)
        self.dropout = nn.Dropout(0.3)
        self.fc1 = nn.Linear(256 * 3 * 6 * 6, 512)
        self.fc2 = nn.Linear(512, 256)
        self.fc3 = nn.Linear(256, 1)

    def forward(self, cutouts: Tensor) -> Tensor:
        for layer, norm in ((self.conv1, self.bn1), (self.conv2, self.bn2), (self.conv3, self.bn3)):
            cutouts = functional.max_pool3d(functional.leaky_relu(norm(layer(cutouts)), 0.01), 2)
            cutouts = self.dropout(cutouts)
        hidden = functional.leaky_relu(self.fc1(cutouts.flatten(1)), 0.01)
        logit: Tensor = self.fc3(functional.leaky_relu(self.fc2(hidden), 0.01))
        return logit[:, 0]


class SpectralCNN(nn.Module):
    """The half of the published two-stage network that sees the dynamic spectrum.

    Input axes (event, 1, 16 channels, 25 samples), output (event,).
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 4, 3, padding=1)
        self.conv2 = nn.Conv2d(4, 8, 3, padding=1)
        self.conv3 = nn.Conv2d(8, 16, 3, padding=1)
        self.fc1 = nn.Linear(16 * 2 * 3, 16)
        self.fc2 = nn.Linear(16, 6)
        self.fc3 = nn.Linear(6, 1)

    def forward(self, spectra: Tensor) -> Tensor:
        for layer in (self.conv1, self.conv2, self.conv3):
            spectra = functional.max_pool2d(functional.relu(layer(spectra)), 2)
        hidden = functional.relu(self.fc1(spectra.flatten(1)))
        logit: Tensor = self.fc3(functional.relu(self.fc2(hidden)))
        return logit[:, 0]


class TwoStageCNN(nn.Module):
    """The published two-stage network: the product of what images and dynamic spectra say.

    Input axes (event, 16 channels, 25 samples, 50, 50), output (event,). Names and shapes are those of its state dict.
    """

    input_shape = (16, 25, 50, 50)

    def __init__(self) -> None:
        super().__init__()
        self.speccnn = SpectralCNN()
        self.spatcnn = EnhancedCNN(channels=1)

    def forward(self, cutouts: Tensor) -> Tensor:
        spectrum = torch.sigmoid(self.speccnn(cutouts.mean((3, 4))[:, None]))
        image = torch.sigmoid(self.spatcnn(cutouts.mean((1, 2))[:, None]))
        return torch.logit(spectrum * image, eps=1e-7)


NETWORKS = (PulseNetwork, EnhancedCNN, Enhanced3DCNN, TwoStageCNN)
