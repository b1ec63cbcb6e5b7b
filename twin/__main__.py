"""``python -m twin``."""

from twin.cli.main import main

if __name__ == "__main__":
    main()
