"""Models as flax.nnx modules behind one functional face."""

from minima.tasks.models import mup as mup
from minima.tasks.models import trainable as trainable
from minima.tasks.models.layers import Noise as Noise
from minima.tasks.models.layers import Training as Training
from minima.tasks.models.model import ARCHITECTURES as ARCHITECTURES
from minima.tasks.models.model import Architecture as Architecture
from minima.tasks.models.model import Model as Model
from minima.tasks.models.model import Params as Params
from minima.tasks.models.model import State as State
from minima.tasks.models.model import architecture as architecture
from minima.tasks.models.settings import Settings as Settings
