"""The program `python -m stages.annotations`."""

from stages.annotations import main

if __name__ == "__main__":
    main()
