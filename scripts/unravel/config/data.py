"""Section `dataset`: where the images come from."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from unravel.config.base import Name, Positive, Settings


class DatasetSettings(Settings):
    note: str = Field("", description="A sentence on where the data comes from, printed wherever its numbers appear.")


class Digits(DatasetSettings):
    """The 1,797 handwritten 8x8 digits that ship inside scikit-learn; every third image is a test image."""

    source: Literal["digits"]
    name: Name = Field("digits", description="Folder under `data/`.")


class Download(DatasetSettings):
    """CIFAR-10, CIFAR-100 or Fashion-MNIST, downloaded from its home and checked by MD5."""

    source: Literal["cifar10", "cifar100", "fashion-mnist"]
    name: Name = Field("download", description="Folder under `data/`; the source's name if not given.")
    downloads: Path = Field(Path("results/downloads"), description="Where the archive is kept, for all runs.")

    @model_validator(mode="before")
    @classmethod
    def _name_is_source(cls, data: Any) -> Any:
        return {"name": data.get("source"), **data} if isinstance(data, Mapping) else data


class Folder(DatasetSettings):
    """Class folders `train/<class>/*` and `test/<class>/*` of png or jpeg images, or a tar or zip archive of them."""

    source: Literal["folder"]
    name: Name = Field("folder", description="Folder under `data/`.")
    path: Path = Field(description="The folder or the archive.")
    image_size: int | None = Field(
        None, ge=4, le=1024, description="Resize every image to this many pixels a side; not given: all must agree."
    )


class Arrays(DatasetSettings):
    """Two npz files with `images` (n, height, width[, channels]) uint8 and `labels` (n,); `class_names` is optional."""

    source: Literal["arrays"]
    name: Name = Field("arrays", description="Folder under `data/`.")
    train: Path = Field(description="The npz file of training images.")
    test: Path = Field(description="The npz file of test images.")


class ImageNet(DatasetSettings):
    """ImageNet, or any folder in its layout: `train/<class>/*` and `val/<class>/*` of jpeg or png images.

    Images stay where they are and are decoded while they are needed, as they do not fit into memory. Training takes
    random crops of every size, resized; tests take the centre of the resized image.
    """

    source: Literal["imagenet"]
    name: Name = Field("imagenet", description="Folder under `data/`.")
    path: Path = Field(description="The folder that holds `train` and `val`.")
    classes: int = Field(1000, ge=2, description="Classes that must be there.")
    image_size: int = Field(224, ge=4, le=1024, description="Pixels a side that a network sees.")
    resize: int = Field(256, ge=4, le=1024, description="Pixels that a test image's shorter side is resized to.")
    mean: tuple[float, float, float] = Field(
        (0.485, 0.456, 0.406), description="Subtracted from each channel (0 to 1)."
    )
    std: tuple[Positive, Positive, Positive] = Field(
        (0.229, 0.224, 0.225), description="What each channel is then divided by."
    )

    @model_validator(mode="after")
    def _centre_lies_within(self) -> "ImageNet":
        if self.resize < self.image_size:
            raise ValueError(f"resize is {self.resize}, expected at least image_size, {self.image_size}")
        return self


Dataset = Annotated[Digits | Download | Folder | Arrays | ImageNet, Field(discriminator="source")]
