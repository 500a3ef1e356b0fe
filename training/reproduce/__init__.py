"""The paper's tables 5 and 6 in miniature: the training commands run one after another, on phantoms and what real CTs there are."""
