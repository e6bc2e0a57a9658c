"""One step of SGD: eagerly, or, on a GPU, captured once as a CUDA graph and replayed.

A step of the 54-block network is some 1,200 kernels, each shorter than its launch. A captured graph launches them all
at once; the learning rate is a tensor, so that the schedule can change it between replays.
"""

import sys
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.optim.sgd import sgd

from unravel.config import Training
from unravel.networks import Network, Wiring
from unravel.training.distributed import ALONE, Group, unshared

EAGER_STEPS = 3  # before the capture: libraries set up their workspaces and choose kernels in the first ones

Outcome = tuple[Tensor, Tensor]
"""Mean loss (nats per image) and number of images wrong of one step, both scalars on the device."""

Capture = Callable[[Callable[[], Outcome]], tuple[Outcome, Callable[[], None]]]
"""Records a computation without running it: where its outcome will lie, and what replays it."""


class Step:
    """Forward, backward and update of `network` on one batch, with bf16 autocast if the recipe says so.

    A batch in parts is computed part by part, their gradients added up; each process of `group` has its share of them.
    """

    def __init__(self, network: Network, settings: Training, group: Group = ALONE, same_blocks: bool = True) -> None:
        self.network = network
        self.model = group.averaging(network, same_parameters=same_blocks)
        self.parts = settings.parts // group.size
        self.device = next(network.parameters()).device
        self.settings = settings
        self.learning_rate = torch.tensor(settings.learning_rate, device=self.device)
        self.momentum = {parameter: torch.zeros_like(parameter) for parameter in network.parameters()}

    def __call__(self, images: Tensor, labels: Tensor, wiring: Wiring, learning_rate: float) -> Outcome:
        """Train on images (batch, channel, height, width) and labels (batch,), passing the blocks of `wiring`."""
        self.learning_rate.fill_(learning_rate)
        return self.compute(images, labels, wiring)

    def compute(self, images: Tensor, labels: Tensor, wiring: Wiring) -> Outcome:
        """The step at the learning rate that is set."""
        self.network.zero_grad()  # to None: a block that is not trained on this batch is left as it is
        parts = list(zip(images.chunk(self.parts), labels.chunk(self.parts), strict=True))
        with unshared(self.model):  # processes average their gradients once, with the last part
            outcomes = [self.backward(*part, wiring) for part in parts[:-1]]
        outcomes.append(self.backward(*parts[-1], wiring))
        self.update()
        losses, wrong = zip(*outcomes, strict=True)
        return torch.stack(losses).sum(), torch.stack(wrong).sum()

    def backward(self, images: Tensor, labels: Tensor, wiring: Wiring) -> Outcome:
        """Add a part's share of the gradient to what is there."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.settings.precision == "bf16"):
            logits = self.model(images, wiring)
        loss = cross_entropy(logits.float(), labels) / self.parts
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach(), (logits.argmax(dim=1) != labels).sum()

    @torch.no_grad()
    def update(self) -> None:
        """Move each parameter that has a gradient by SGD with momentum.

        This is the function under torch.optim.SGD: the class imports torch's compiler, which takes seconds.
        """
        trained = [(one, one.grad, momentum) for one, momentum in self.momentum.items() if one.grad is not None]
        parameters, gradients, buffers = zip(*trained, strict=True)
        sgd(
            list(parameters),
            list(gradients),
            list(buffers),
            fused=True,
            lr=self.learning_rate,  # type: ignore[arg-type]
            momentum=self.settings.momentum,
            weight_decay=self.settings.weight_decay,
            dampening=0,
            nesterov=False,
            maximize=False,
        )


class CapturedStep(Step):
    """A step that is replayed from a graph. Only for a network that trains the same blocks on every batch.

    The first steps run eagerly, and so does a batch of another size, such as an epoch's last. Where the capture fails,
    all steps do, and one line on stderr says why.
    """

    def __init__(self, network: Network, settings: Training, capture: Capture | None = None) -> None:
        super().__init__(network, settings)
        self.capture = cuda_graph if capture is None else capture
        self.eager_steps = EAGER_STEPS
        self.replay: Callable[[], None] | None = None

    def compute(self, images: Tensor, labels: Tensor, wiring: Wiring) -> Outcome:
        if self.eager_steps > 0:
            self.eager_steps -= 1
            return super().compute(images, labels, wiring)
        if self.replay is None:
            self.record(images, labels, wiring)
        if self.replay is None or images.shape != self.images.shape:
            return super().compute(images, labels, wiring)
        self.images.copy_(images)
        self.labels.copy_(labels)
        self.replay()
        return self.outcome

    def record(self, images: Tensor, labels: Tensor, wiring: Wiring) -> None:
        """Capture the step for batches like this one; from then on they are copied to where the graph reads them."""
        self.images, self.labels = images.clone(), labels.clone()
        eager = super().compute
        try:
            self.outcome, self.replay = self.capture(lambda: eager(self.images, self.labels, wiring))
        except RuntimeError as error:
            self.eager_steps = sys.maxsize
            reason = str(error).splitlines()[0]
            print(f"training goes on without a CUDA graph, more slowly: {reason}", file=sys.stderr, flush=True)


def cuda_graph(computation: Callable[[], Outcome]) -> tuple[Outcome, Callable[[], None]]:
    """Capture a computation on the GPU. Raises RuntimeError if it does something that no graph can hold."""
    graph = torch.cuda.CUDAGraph()
    torch.cuda.synchronize()
    with torch.cuda.graph(graph):
        outcome = computation()
    return outcome, graph.replay
