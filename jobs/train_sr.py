#!/usr/bin/env python
"""Train the super-resolution of images: `ray job submit jobs/train_sr.py`.

Options are those of `wolter train superres`; `--from` goes on from weights, as for real pairs:
`ray job submit --working-dir . -- python jobs/train_sr.py --data DIR --from pretrained`.
"""

from _job import run

if __name__ == "__main__":
    run("train", "superres")
