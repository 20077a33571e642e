"""The benchmark's networks in PyTorch, as its users write them; shapes equal minima's."""

import torch
from torch import nn
from torch.nn import functional

HEAD_WIDTH = 16


def cnn_small(inputs: torch.Tensor, classes: int) -> nn.Module:
    """Two 3×3 convolutions of 8 and 16 channels with pooling, a dense layer of 32."""
    pooled = (inputs.shape[-1] // 4) ** 2 * 16
    return nn.Sequential(
        nn.Unflatten(1, (1, inputs.shape[1])),
        nn.Conv2d(1, 8, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(pooled, 32),
        nn.ReLU(),
        nn.Linear(32, classes),
    )


def mlp(inputs: torch.Tensor, classes: int) -> nn.Module:
    """One hidden layer of 128."""
    features = inputs[0].numel()
    return nn.Sequential(nn.Flatten(), nn.Linear(features, 128), nn.ReLU(), nn.Linear(128, classes))


class CharacterLSTM(nn.Module):
    """An embedding of 64, one LSTM of 128, a read-out of every state."""

    def __init__(self, classes: int):
        """Builds the layers."""
        super().__init__()
        self.table = nn.Embedding(classes, 64)
        self.lstm = nn.LSTM(64, 128, batch_first=True)
        self.readout = nn.Linear(128, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps tokens (n, t) to logits (n, t, classes)."""
        return self.readout(self.lstm(self.table(x))[0])


class Block(nn.Module):
    """Pre-norm attention and a feed-forward layer of four times the width."""

    def __init__(self, width: int):
        """Builds the layers."""
        super().__init__()
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.mixed = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.wide, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps (n, t, width) to the same shape."""
        n, t, width = x.shape
        qkv = self.qkv(self.first(x)).view(n, t, 3, width // HEAD_WIDTH, HEAD_WIDTH)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        heads = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.mixed(heads.transpose(1, 2).reshape(n, t, width))
        hidden = functional.gelu(self.wide(self.second(x)), approximate="tanh")
        return x + self.narrow(hidden)


class CharacterTransformer(nn.Module):
    """Two blocks of width 64 with learned positions."""

    def __init__(self, classes: int, length: int):
        """Builds the layers."""
        super().__init__()
        width = 64
        self.table = nn.Embedding(classes, width)
        self.positions = nn.Parameter(0.02 * torch.randn(length, width))
        self.blocks = nn.Sequential(Block(width), Block(width))
        self.norm, self.readout = nn.LayerNorm(width), nn.Linear(width, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps tokens (n, t) to logits (n, t, classes)."""
        return self.readout(self.norm(self.blocks(self.table(x) + self.positions)))


def build(model: str, inputs: torch.Tensor, classes: int) -> nn.Module:
    """The network that a workload calls `model`, for inputs (n, ...)."""
    if model == "cnn_small":
        return cnn_small(inputs, classes)
    if model == "mlp":
        return mlp(inputs, classes)
    if model == "lstm":
        return CharacterLSTM(classes)
    return CharacterTransformer(classes, inputs.shape[1])
