"""Beyond the paper: the gradient summed exactly over all paths of each length, from the tables of path_gradients."""

from unravel.studies.base import Study

STUDY = Study(order=310, title="The exact sum over paths", needs=("path-gradients",))
