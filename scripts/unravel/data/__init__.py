"""Data: where images come from, how they are prepared once, and how training draws batches from them.

A new source is a section in `config/data.py`, a module here with a `load`, and a line below. Source imagenet alone is
only listed, and decoded later: modules `listing` and `streams`.
"""

from unravel.config import Arrays, Digits, Download, Folder
from unravel.data.images import Images

__all__ = ["Images", "load"]


def load(settings: Digits | Download | Folder | Arrays) -> Images:
    """The images of a dataset, as its source holds them. Raises InputError for what the user can mend."""
    # Each source imports what it needs only when it is asked for: torch and scikit-learn take seconds to import.
    match settings:
        case Digits():
            from unravel.data import digits

            return digits.load()
        case Download():
            from unravel.data import downloads

            return downloads.load(settings)
        case Folder():
            from unravel.data import folders

            return folders.load(settings)
        case Arrays():
            from unravel.data import arrays

            return arrays.load(settings)
