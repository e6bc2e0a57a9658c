"""Adapters: residual networks of torchvision and timm as stem, blocks and head, so that every lesion applies to them.

Only the wiring is ours: each block keeps the library's own modules, put into one sequence per branch.
"""

from torch import Tensor, nn

from unravel.files import InputError
from unravel.networks.base import Block, Network, folded

FAMILIES = (
    "those that can: torchvision:resnet*, torchvision:wide_resnet*, torchvision:resnext* (He et al. 2016a, "
    "post-activation) and timm:resnetv2_* (He et al. 2016b, pre-activation)"
)


class PreActivationBlock(Block):
    """y = skip(x) + residual(x), each a sequence of modules; an empty sequence is the identity.

    In timm's downsampling blocks the projection starts from the normalised and rectified input. That first step is
    then part of both sequences, so deleting the block leaves projection(relu(norm(x))).
    """

    def __init__(self, skip: nn.Sequential, residual: nn.Sequential) -> None:
        super().__init__()
        self.skip_modules, self.residual_modules = skip, residual
        self.downsampling = any(isinstance(module, nn.Conv2d) and max(module.stride) > 1 for module in residual)
        self.keeps_shape = len(skip) == 0  # in these families a projection is only where the shape changes

    def skip(self, x: Tensor) -> Tensor:
        shortcut: Tensor = self.skip_modules(x)
        return shortcut

    def residual(self, x: Tensor) -> Tensor:
        branch: Tensor = self.residual_modules(x)
        return branch

    def fold_batch_norm(self) -> None:
        self.skip_modules, self.residual_modules = fold(self.skip_modules), fold(self.residual_modules)


class PostActivationBlock(PreActivationBlock):
    """y = relu(skip(x) + residual(x)).

    Deleting the block leaves relu(skip(x)). Where skip is the identity that is x itself, as the block before ended in
    a ReLU too; where it is a projection, the ReLU still cuts off what is negative.
    """

    def after_addition(self, x: Tensor) -> Tensor:
        return x.relu()


def adapt(network: nn.Module, name: str) -> Network:
    """Take a torchvision ResNet or a timm ResNetV2 apart; the parts are the network's own modules, not copies.

    `name` is what the error calls it. Raises InputError if it is of another family, or has blocks of another kind.
    """
    match kind(network):
        case "torchvision.models.resnet.ResNet":
            part = dict(network.named_children())
            stem = nn.Sequential(part["conv1"], part["bn1"], part["relu"], part["maxpool"])
            stages = [part[f"layer{stage}"] for stage in range(1, 5)]
            blocks = [_torchvision_block(block, name) for stage in stages for block in stage.children()]
            return Network(stem, blocks, nn.Sequential(part["avgpool"], nn.Flatten(), part["fc"]))
        case "timm.models.resnetv2.ResNetV2":
            part = dict(network.named_children())
            stages = [dict(stage.named_children())["blocks"] for stage in part["stages"].children()]
            blocks = [_timm_block(block, name) for stage in stages for block in stage.children()]
            return Network(part["stem"], blocks, nn.Sequential(part["norm"], part["head"]))
    raise cannot_be_taken_apart(name, f"it is a {kind(network)}")


def kind(module: nn.Module) -> str:
    """The full name of a module's class: it tells without importing the library, and a subclass with its own forward
    pass is not mistaken for its parent.
    """
    return f"{type(module).__module__}.{type(module).__qualname__}"


def cannot_be_taken_apart(name: str, reason: str) -> InputError:
    """The error for a network that has no blocks of a kind known here."""
    return InputError(f"{name}: cannot be taken apart into residual blocks: {reason}; {FAMILIES}")


def _torchvision_block(block: nn.Module, name: str) -> Block:
    part = dict(block.named_children())
    match kind(block):
        case "torchvision.models.resnet.BasicBlock":
            order = ["conv1", "bn1", "relu", "conv2", "bn2"]
        case "torchvision.models.resnet.Bottleneck":
            order = ["conv1", "bn1", "relu", "conv2", "bn2", "relu", "conv3", "bn3"]
        case other:
            raise cannot_be_taken_apart(name, f"it has a block of kind {other}")
    downsample = part.get("downsample")  # a convolution and its batch normalisation
    skip = nn.Sequential(*downsample.children()) if downsample else nn.Sequential()
    return PostActivationBlock(skip, nn.Sequential(*(part[step] for step in order)))


def _timm_block(block: nn.Module, name: str) -> Block:
    part = dict(block.named_children())
    match kind(block):
        case "timm.models.resnetv2.PreActBasic":
            order = ["norm1", "conv1", "norm2", "conv2", "drop_path"]
        case "timm.models.resnetv2.PreActBottleneck":
            order = ["norm1", "conv1", "norm2", "conv2", "norm3", "conv3", "drop_path"]
        case other:
            raise cannot_be_taken_apart(name, f"it has a block of kind {other}")
    downsample = part.get("downsample")
    skip = nn.Sequential(part["norm1"], downsample) if downsample else nn.Sequential()
    return PreActivationBlock(skip, nn.Sequential(*(part[step] for step in order)))


def fold(modules: nn.Sequential) -> nn.Sequential:
    """The sequence with every batch normalisation that follows a convolution folded into it; exact in eval mode."""
    done: list[nn.Module] = []
    for module in modules:
        before = done[-1] if done else None
        # Exactly Conv2d: a convolution that standardises its weights would undo the folding.
        if isinstance(module, nn.BatchNorm2d) and type(before) is nn.Conv2d:
            done[-1] = folded(before, module)
            done.append(getattr(module, "act", nn.Identity()))  # timm's normalisations hold the ReLU that follows
        else:
            done.append(module)
    return nn.Sequential(*done)
