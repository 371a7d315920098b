"""Make the pictures of every tab that README and docs show, from a real run.

    make pictures

The app runs headless over the engine of this machine, with the bundled model, seed 0, 16 users and
a fixed script of key presses that waits for what comes of each. Files go to `docs/pictures/`.

    scenes    what there is a picture of, and the keys that lead there: every tab has one
    stage     brings a scene onto a running app, and waits until it is there
    outline   what a picture shows without its figures, stored in it; a test compares it
    compact   Textual's SVG in half the bytes
    run       the real run, and the command

A tab that is added needs nothing here: it is found in `TAB_TITLES`, and gets its picture. One that
should show something else first gets scenes of its own in `scenes`.
"""
