"""A decoder of the Llama kind as an OpenVINO graph, its weights in the types that the checkpoint has them in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ._hf_config import Shape
from ._rope import Rotation

Weight = Callable[[str], Any]
"""The tensor of that name in the checkpoint, as an OpenVINO tensor; None where there is none."""


def build(shape: Shape, rotation: Rotation, weight: Weight) -> Any:
    """The graph, with a key-value cache as its state, as OpenVINO GenAI expects of a language model.

    Inputs: `input_ids`, `attention_mask` and `position_ids` of shape [batch, tokens], `beam_idx` of shape [batch].
    Output: `logits` of shape [batch, tokens, vocabulary].
    """
    return _Builder(shape, rotation, weight).build()


class _Builder:
    def __init__(self, shape: Shape, rotation: Rotation, weight: Weight) -> None:
        import openvino
        from openvino import opset13

        self.ov, self.ops = openvino, opset13
        self.shape, self.rotation, self.weight = shape, rotation, weight
        self.sinks: list[Any] = []

    def build(self) -> Any:
        ops, ov = self.ops, self.ov
        ids, mask, positions = (
            self._input(name, [-1, -1], ov.Type.i64)
            for name in ("input_ids", "attention_mask", "position_ids")
        )
        self.beams = self._input("beam_idx", [-1], ov.Type.i32)
        self.batch = ops.gather(ops.shape_of(ids, "i64"), self._ints([0]), self._int(0))

        embedding = self._matrix("embed_tokens.weight")
        hidden = ops.gather(embedding, ops.convert(ids, "i32"), self._int(0))
        self.cos, self.sin = self._rotations(positions)
        self.mask = self._causal_mask(ids, mask)
        for layer in range(self.shape.layers):
            hidden = self._layer(f"layers.{layer}.", hidden)
        hidden = self._norm("norm", hidden)
        output = embedding if self.shape.tied else self._matrix("lm_head.weight")
        logits = ops.result(ops.matmul(hidden, output, False, True), name="logits")
        logits.output(0).get_tensor().set_names({"logits"})
        return ov.Model([logits], self.sinks, [ids, mask, positions, self.beams], "model")

    def _layer(self, name: str, hidden: Any) -> Any:
        ops = self.ops
        attended = self._attention(name, self._norm(name + "input_layernorm", hidden))
        hidden = ops.add(hidden, attended)
        normed = self._norm(name + "post_attention_layernorm", hidden)
        gate = ops.swish(self._linear(name + "mlp.gate_proj", normed))
        product = ops.multiply(gate, self._linear(name + "mlp.up_proj", normed))
        return ops.add(hidden, self._linear(name + "mlp.down_proj", product))

    def _attention(self, name: str, hidden: Any) -> Any:
        ops, shape = self.ops, self.shape
        name += "self_attn."
        queries = self._rotated(self._heads(name + "q_", hidden, shape.heads))
        keys = self._rotated(self._heads(name + "k_", hidden, shape.kv_heads))
        values = self._heads(name + "v_", hidden, shape.kv_heads)
        number = name.split(".")[1]
        keys, values = self._remembered(number, "key", keys), self._remembered(number, "value", values)
        attended = ops.scaled_dot_product_attention(
            queries, self._repeated(keys), self._repeated(values), self.mask, causal=False
        )
        joined = ops.reshape(
            ops.transpose(attended, self._ints([0, 2, 1, 3])),
            self._ints([0, 0, shape.heads * shape.head_size]),
            True,
        )
        return self._linear(name + "o_proj", joined)

    def _heads(self, name: str, hidden: Any, heads: int) -> Any:
        """Shape [batch, heads, tokens, head size]; normed where the model norms them."""
        ops = self.ops
        split = ops.reshape(
            self._linear(name + "proj", hidden), self._ints([0, 0, heads, self.shape.head_size]), True
        )
        if self.weight(name + "norm.weight") is not None:
            split = self._norm(name + "norm", split)
        return ops.transpose(split, self._ints([0, 2, 1, 3]))

    def _remembered(self, number: str, which: str, new: Any) -> Any:
        """The cached keys or values of a layer with the new ones at their end."""
        ops, shape = self.ops, self.shape
        id_ = f"past_key_values.{number}.{which}present.{number}.{which}"
        info = self.ov.op.util.VariableInfo()
        info.data_shape = self.ov.PartialShape([-1, shape.kv_heads, -1, shape.head_size])
        info.data_type, info.variable_id = self.ov.Type.f32, id_
        variable = self.ov.op.util.Variable(info)
        sizes = [self.batch, self._ints([shape.kv_heads]), self._ints([0]), self._ints([shape.head_size])]
        nothing = ops.broadcast(self._real(0.0), ops.concat(sizes, 0))
        past = ops.gather(self.ov.opset6.read_value(nothing, variable), self.beams, self._int(0))
        both = ops.concat([past, new], 2)
        self.sinks.append(self.ov.opset6.assign(both, variable))
        return both

    def _repeated(self, kv: Any) -> Any:
        """Keys or values once for each query head that shares them."""
        ops, shape = self.ops, self.shape
        if shape.heads == shape.kv_heads:
            return kv
        sizes = ops.shape_of(kv, "i64")
        batch, tokens = (ops.gather(sizes, self._ints([axis]), self._int(0)) for axis in (0, 2))
        times = self._ints([shape.heads // shape.kv_heads])
        wide = [batch, self._ints([shape.kv_heads]), times, tokens, self._ints([shape.head_size])]
        spread = ops.broadcast(
            ops.unsqueeze(kv, self._int(2)), ops.concat(wide, 0), broadcast_spec="BIDIRECTIONAL"
        )
        return ops.reshape(spread, self._ints([0, shape.heads, -1, shape.head_size]), True)

    def _rotations(self, positions: Any) -> tuple[Any, Any]:
        """Cosines and sines, of shape [batch, 1, tokens, head size]."""
        import numpy as np

        ops = self.ops
        rates = ops.constant(np.array(self.rotation.rates, np.float32).reshape(1, -1, 1))
        where = ops.convert(ops.unsqueeze(positions, self._int(1)), "f32")
        sizes = ops.concat([self.batch, self._ints([1]), self._ints([1])], 0)
        angles = ops.matmul(ops.broadcast(rates, sizes, broadcast_spec="BIDIRECTIONAL"), where, False, False)
        angles = ops.transpose(angles, self._ints([0, 2, 1]))
        angles = ops.concat([angles, angles], -1)
        cos, sin = ops.cos(angles), ops.sin(angles)
        if self.rotation.scale != 1:
            scale = self._real(self.rotation.scale)
            cos, sin = ops.multiply(cos, scale), ops.multiply(sin, scale)
        return ops.unsqueeze(cos, self._int(1)), ops.unsqueeze(sin, self._int(1))

    def _rotated(self, heads: Any) -> Any:
        ops, half = self.ops, self.shape.head_size // 2
        last, step, axis = self._ints([2**63 - 1]), self._ints([1]), self._ints([3])
        second = ops.slice(heads, self._ints([half]), last, step, axis)
        first = ops.slice(heads, self._ints([0]), self._ints([half]), step, axis)
        turned = ops.concat([ops.multiply(second, self._real(-1.0)), first], -1)
        return ops.add(ops.multiply(heads, self.cos), ops.multiply(turned, self.sin))

    def _causal_mask(self, ids: Any, mask: Any) -> Any:
        """0 where a token may look and -65504 where not; of shape [batch, 1, new tokens, all tokens]."""
        ops = self.ops
        new = ops.gather(ops.shape_of(ids, "i64"), self._int(1), self._int(0))
        all_ = ops.gather(ops.shape_of(mask, "i64"), self._int(1), self._int(0))
        columns = ops.range(self._int(0), all_, self._int(1), "i64")
        rows = ops.range(ops.subtract(all_, new), all_, self._int(1), "i64")
        future = ops.greater(ops.unsqueeze(columns, self._int(0)), ops.unsqueeze(rows, self._int(1)))
        hidden = ops.equal(ops.unsqueeze(mask, self._ints([1, 2])), self._int(0))
        blocked = ops.logical_or(ops.unsqueeze(future, self._ints([0, 1])), hidden)
        return ops.select(blocked, self._real(-65504.0), self._real(0.0))

    def _norm(self, name: str, values: Any) -> Any:
        ops = self.ops
        mean = ops.reduce_mean(ops.power(values, self._real(2.0)), self._ints([-1]), True)
        root = ops.sqrt(ops.add(mean, self._real(self.shape.epsilon)))
        normed = ops.multiply(values, ops.divide(self._real(1.0), root))
        return ops.multiply(normed, self._matrix(name + ".weight"))

    def _linear(self, name: str, values: Any) -> Any:
        product = self.ops.matmul(values, self._matrix(name + ".weight"), False, True)
        if self.weight(name + ".bias") is None:
            return product
        return self.ops.add(product, self._matrix(name + ".bias"))

    def _matrix(self, name: str) -> Any:
        tensor = self.weight(name)
        constant = self.ov.op.Constant(tensor, shared_memory=True)
        constant.set_friendly_name("model." + name)
        return constant if tensor.element_type == self.ov.Type.f32 else self.ops.convert(constant, "f32")

    def _input(self, name: str, sizes: list[int], kind: Any) -> Any:
        parameter = self.ops.parameter(sizes, kind, name=name)
        parameter.output(0).get_tensor().set_names({name})
        return parameter

    def _int(self, value: int) -> Any:
        import numpy as np

        return self.ops.constant(np.int64(value))

    def _ints(self, values: list[int]) -> Any:
        import numpy as np

        return self.ops.constant(np.array(values, np.int64))

    def _real(self, value: float) -> Any:
        import numpy as np

        return self.ops.constant(np.float32(value))
