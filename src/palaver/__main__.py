"""`python -m palaver` is `palaver`."""

from palaver.cli.main import main

if __name__ == "__main__":
    main()
