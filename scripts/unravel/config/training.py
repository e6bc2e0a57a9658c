"""Section `training`: the recipe."""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from unravel.config.base import Probability, Settings


class Augmentation(Settings):
    pad: int = Field(4, ge=0, le=64, description="Zero padding, in pixels a side, before a random crop back to size.")
    flip: bool = Field(True, description="Mirror half of the images left to right.")
    crop_area: Probability = Field(
        0.08,
        exclude_if=lambda area: area == 0.08,
        description="Source `imagenet` has no padding: least share of an image's area in its random crop.",
    )


class Training(Settings):
    """SGD with momentum and a step schedule (He et al. 2016b); a network may have a number of epochs of its own."""

    epochs: int = Field(164, ge=1, description="Passes over the training images.")
    batch_size: int = Field(128, ge=2, description="Images per step.")
    parts: int = Field(
        1,
        ge=1,
        exclude_if=lambda parts: parts == 1,
        description="Equal parts of a batch, computed in turn or by several processes; each has its own BN statistics.",
    )
    learning_rate: float = Field(0.1, gt=0, description="Learning rate after the warm-up.")
    milestones: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = Field(
        (0.5, 0.75), description="Fractions of the training after which the learning rate is divided by 10."
    )
    warmup_steps: int = Field(400, ge=0, description="Steps at the warm-up learning rate.")
    warmup_learning_rate: float = Field(0.01, gt=0, description="Learning rate during the warm-up.")
    momentum: float = Field(0.9, ge=0, lt=1, description="Momentum of SGD.")
    weight_decay: float = Field(1e-4, ge=0, description="L2 penalty on all weights.")
    precision: Literal["fp32", "bf16"] = Field("bf16", description="Arithmetic of the forward and backward pass.")
    augmentation: Augmentation = Field(Augmentation(), description="Random changes of the training images.")

    @model_validator(mode="after")
    def _parts_are_equal(self) -> "Training":
        if self.batch_size % self.parts or self.batch_size < 2 * self.parts:
            raise ValueError(
                f"batch_size {self.batch_size} has no {self.parts} equal parts of at least 2 images; change batch_size "
                "or parts"
            )
        return self

    @field_validator("milestones")
    @classmethod
    def _milestones_rise(cls, milestones: tuple[float, ...]) -> tuple[float, ...]:
        if list(milestones) != sorted(set(milestones)):
            raise ValueError(f"milestones {list(milestones)} must rise")
        return milestones
