"""Methods that peft does not have, or not rightly for an encoder-decoder, as peft would have them."""
