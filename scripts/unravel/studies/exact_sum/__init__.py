"""Beyond the paper: the gradient summed exactly over all paths of each length, from the tables of path_gradients."""

from unravel.studies.base import Study

STUDY = Study(order=160, title="Beyond the paper: the exact sum over paths", needs=("path-gradients",))
