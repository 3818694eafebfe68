# SPDX-License-Identifier: Apache-2.0
"""The inventory: the model of a deployment and its loader. ``load`` is the way in."""

from hakuna.inventory.loader import Loaded, digest, line_of, load, secrets_of
from hakuna.inventory.model import Inventory, Node
from hakuna.inventory.problems import InventoryError, Problem

__all__ = ["Inventory", "InventoryError", "Loaded", "Node", "Problem", "digest", "line_of", "load", "secrets_of"]
