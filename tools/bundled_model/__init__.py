"""Make the model that ships with prodtop: a small Llama that writes English.

Run the two steps from the root of the repository, with the development environment:

    python -m tools.bundled_model.prepare CORPUS PREPARED
    python -m tools.bundled_model.train PREPARED OUT --minutes 9

`prepare` cleans a corpus of public-domain books, trains the tokenizer and turns the books into
tokens. `train` trains the network and writes a whole checkpoint folder to `OUT`; to ship it, copy
its files to `engine/model/bundled/`. Nothing here imports prodtop.

    corpus      books as cleaned documents            prepare     the corpus as tokens and facts
    vocabulary  the tokenizer                         trainer     one step: optimizers, averages
    network     the Llama network, differentiable     train       the whole run, the command
    attention   its causal attention                  checkpoint  files written and read back
    evaluation  loss, bits per character, samples     card        the model card
"""
