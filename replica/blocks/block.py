r"""What every block has: the one protocol of priors, channels, activations, losses and penalties.

A block is the law of one random function of its input, stated once and used by the theory, by the
algorithms and by the samplers. What it has on its two sides says what it is:

=============  ======================  ======================================================
block          sides                   log-partition
=============  ======================  ======================================================
prior          no input, weights out   :math:`\log E_w e^{r w - g w^2 / 2}`
channel        fields in, no output    :math:`\log E_{z \sim N(\omega, V)} P(y|z)` of a label y
activation     fields in, fields out   both at once
constraint     fields in, no output    that of the label which a channel gives the accepted fields
penalty        no input, weights out   the zero-temperature limit of a prior's: a minimum over w
loss           fields in, no output    the zero-temperature limit of a channel's: an envelope
=============  ======================  ======================================================

Weights and fields are numbers, or vectors of K (`Block.fields`). A vector's overlap matrix is
symmetric under the exchange of its components, and its functions are written along the
eigenvectors: where a block of one field takes a gap or a precision, one of K fields takes a tuple
of them, one for each eigenvalue, and gives tuples likewise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from numpy.typing import NDArray

from replica.blocks.shipped import Shipped
from replica.declarations.control import Control
from replica.declarations.frozen import FrozenMapping

__all__ = ["Array", "Block", "Size"]

Array = NDArray[Any]
"""Numbers drawn or observed: weights, fields or labels, real or complex."""

Size = int | tuple[int, ...]
"""How many numbers are drawn."""


@dataclass(frozen=True)
class Block:
    """Base class of all blocks; they are compared by content and printed by name.

    A kind of blocks has its shipped ones by name in the class attribute ``shipped``, from which
    families read their choices.

    Attributes
    ----------
    name : str
        For tables, messages and the shell.
    controls : mapping of str to Control
        The parameters of the law that a user sets.
    fields : int
        Of the class: how many weights or fields are seen at once.
    shipped : Shipped
        Of the class: the blocks of this kind by name.

    Examples
    --------
    >>> from replica.blocks.channels import Sign
    >>> print(Sign(), list(Sign().controls), Sign().fields)
    sign ['Delta'] 1
    """

    name: str
    controls: Mapping[str, Control] = field(default_factory=FrozenMapping, kw_only=True)

    fields: ClassVar[int] = 1
    shipped: ClassVar[Shipped[Any]]

    def log_partition(self, *args: Any, **kwargs: Any) -> object:
        """Return the log-partition of what the block sees, of which everything else follows."""
        raise NotImplementedError

    def sample(self, *args: Any, **kwargs: Any) -> Array:
        """Draw from the law; a block that cannot be drawn from leaves this out."""
        raise NotImplementedError

    def __str__(self) -> str:
        return self.name
