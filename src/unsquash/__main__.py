"""`python -m unsquash` and the `unsquash` command."""

from unsquash.cli import main

if __name__ == "__main__":
    main()
