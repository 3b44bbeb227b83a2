"""recipes.py: what the guide says to type, read out of it, for a root shell."""
import os, re

GUIDE = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__)))), "docs/guide.md")


def recipe(section, words, **filled):
    """The one fenced block of a section that has these words, without `sudo` and with what is in capitals filled in."""
    with open(GUIDE) as file:
        _, _, text = file.read().partition(f"\n## {section}\n")
    text, _, _ = text.partition("\n## ")
    found = [block for block in re.findall(r"\n```\w*\n(.*?)\n```", text, re.S) if words in block]
    assert len(found) == 1, f"{len(found)} blocks with {words!r} under {section!r}"
    block = re.sub(r"\bsudo ", "", found[0])
    for blank, with_this in filled.items():
        assert blank in block, f"no {blank} in: {block}"
        block = block.replace(blank, with_this)
    return block
