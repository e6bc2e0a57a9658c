"""Networks as users write them, each with a switch in every branch, so that a lesion can be made by hand."""

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 (as everyone calls it)


class OptionA(nn.Module):
    """A block of the CIFAR networks of He et al. 2016a, with the shortcut of option A: every other pixel, zeros."""

    def __init__(self, inside, outside, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inside, outside, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outside)
        self.conv2 = nn.Conv2d(outside, outside, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outside)
        self.stride, self.more, self.switch = stride, outside - inside, 1.0

    def shortcut(self, x):
        x = x[:, :, :: self.stride, :: self.stride]
        return F.pad(x, (0, 0, 0, 0, self.more // 2, self.more - self.more // 2)) if self.more else x

    def branch(self, x):
        return self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))) * self.switch

    def forward(self, x):
        out = self.branch(x)
        out += self.shortcut(x) if self.more else x
        return F.relu(out)


class PlainResNet(nn.Module):
    """Written plainly: functions between the modules, a mean instead of a pooling module."""

    def __init__(self, widths=(4, 4, 6), classes=5, kind=OptionA):
        super().__init__()
        self.conv, self.bn = nn.Conv2d(3, widths[0], 3, 1, 1, bias=False), nn.BatchNorm2d(widths[0])
        steps = zip((widths[0], *widths), widths, strict=False)
        self.layers = nn.ModuleList(kind(inside, outside, 1 if inside == outside else 2) for inside, outside in steps)
        self.fc = nn.Linear(widths[-1], classes)

    def forward(self, x):
        x = F.relu(self.bn(self.conv(x)))
        for layer in self.layers:
            x = layer(x)
        return self.fc(x.mean((2, 3)))

    def switches(self):
        return [(layer, "switch") for layer in self.layers]


class InPlace(nn.Module):
    """A pre-activation block whose first ReLU overwrites what the shortcut then takes, as is often written."""

    def __init__(self, inside, outside, stride):
        super().__init__()
        self.bn, self.relu = nn.BatchNorm2d(outside), nn.ReLU(inplace=True)
        self.conv = nn.Conv2d(inside, outside, 3, stride, 1, bias=False)
        self.down = nn.Conv2d(inside, outside, 1, stride, bias=False) if inside != outside else nn.Sequential()
        self.switch = 1.0

    def forward(self, x):
        y = self.bn(self.conv(self.relu(x))) * self.switch
        y += self.down(x)
        return y


class Tokens(nn.Module):
    """A transformer encoder of torch.nn on patches; the switches are the last layers of attention and MLP."""

    def __init__(self, norm_first, batch_first, layers=2, width=8, classes=5):
        super().__init__()
        self.patches, self.batch_first = nn.Conv2d(3, width, 4, 4), batch_first
        self.place = nn.Parameter(torch.randn(1, 4, width))
        layer = nn.TransformerEncoderLayer(
            width, 2, 16, dropout=0.1, activation="gelu", batch_first=batch_first, norm_first=norm_first
        )
        self.encoder = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.fc = nn.Linear(width, classes)

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2) + self.place
        x = self.encoder(x) if self.batch_first else self.encoder(x.transpose(0, 1)).transpose(0, 1)
        return self.fc(x[:, 0])


class Whole(nn.Module):
    """All in one forward: there are no modules of blocks to name."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.one, self.two = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.fc = nn.Linear(4, 5)
        self.first = self.second = 1.0

    def forward(self, x):
        x = self.stem(x).tanh()
        x = F.gelu(torch.add(self.one(x) * self.first, x))
        x = F.avg_pool2d(x, 2)
        x = x + self.two(x).tanh() * self.second
        return self.fc(x.amax((2, 3)))

    def switches(self):
        return [(self, "first"), (self, "second")]


class Highway(nn.Module):
    """A gate on both ways: no skip connection."""

    def __init__(self):
        super().__init__()
        self.carry, self.gate, self.fc = nn.Linear(12, 12), nn.Linear(12, 12), nn.Linear(12, 5)

    def forward(self, x):
        x = x.flatten(1)
        gate = self.gate(x).sigmoid()
        return self.fc(gate * self.carry(x).tanh() + (1 - gate) * x)


class Past(PlainResNet):
    """Something of the images goes past the blocks."""

    def forward(self, x):
        return super().forward(x) + x.mean((2, 3)).mean(1, keepdim=True)


class Parallel(nn.Module):
    """Attention and MLP side by side: three things are added."""

    def __init__(self):
        super().__init__()
        self.one, self.two, self.fc = nn.Linear(12, 12), nn.Linear(12, 12), nn.Linear(12, 5)

    def forward(self, x):
        x = x.flatten(1)
        return self.fc(x + self.one(x).tanh() + self.two(x).tanh())


def awake(model, seed=0):
    """The model in eval mode and double precision, no layer the identity by accident, normalisations included."""
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point():
            values = torch.rand(tensor.shape, generator=generator)
            spread = tensor.ndim > 1 or name.endswith(("bias", "mean"))
            tensor.copy_((values - 0.5) * (2 / max(1, tensor[0].numel()) ** 0.5) if spread else values + 0.5)
    return model.double().eval()


def images(n=3, side=8, seed=1):
    return torch.randn(n, 3, side, side, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@torch.no_grad()
def telling_apart(model, inputs):
    """A PlainResNet whose classes are all met among these images: its logits are 0 in the mean over them."""
    model.fc.bias.zero_()
    model.fc.bias -= model(inputs).mean(0)
    return model
