"""Make lesions in a network of your own, in a checkout: the command `lesion`, which `pip install .` installs."""

from unravel.own.command import main

if __name__ == "__main__":
    main()
