"""The demo: synthetic chest radiographs and two small models that were trained on them."""
