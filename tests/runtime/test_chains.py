"""The longest chain of products: counted by hand, through calls, loops and the way back."""

import jax
import jax.numpy as jnp
import pytest

from minima.runtime.chains import longest_chain


def square(size=4):
    return jax.ShapeDtypeStruct((size, size), jnp.float32)


def test_side_by_side_is_one_and_in_a_row_is_many():
    assert longest_chain(lambda x: x + 1, square()) == 0
    assert longest_chain(lambda x: (x @ x) + (x @ x), square()) == 1
    assert longest_chain(lambda x: jnp.tanh(x @ x) @ x @ x, square()) == 3


def test_what_the_result_does_not_need_and_what_needs_no_argument():
    assert longest_chain(lambda x: (x @ x @ x, x)[1], square()) == 0

    def constant(x):
        y = jnp.ones((4, 4)) * 2.0
        return x + y @ y

    assert longest_chain(constant, square()) == 1


@pytest.mark.parametrize("length", [1, 2, 1000])
def test_a_recurrence_takes_one_after_the_other(length):
    def recurrent(matrix, xs):
        given = xs @ matrix  # for all steps at once
        return jax.lax.scan(lambda h, x: (jnp.tanh(x + h @ matrix),) * 2, given[0], given)[1]

    xs = jax.ShapeDtypeStruct((length, 4, 4), jnp.float32)
    assert longest_chain(recurrent, square(), xs) == 1 + length


@pytest.mark.parametrize("length", [1, 30])
def test_a_loop_without_memory_takes_no_longer_than_its_body(length):
    def mapped(matrix, xs):
        return jax.lax.map(lambda x: x @ matrix @ matrix, xs)

    xs = jax.ShapeDtypeStruct((length, 4, 4), jnp.float32)
    assert longest_chain(mapped, square(), xs) == 2


def test_only_what_is_carried_adds_up():
    def two(matrix, x):
        def step(carry, _):
            fast, slow = carry
            return (fast @ matrix, slow + matrix @ matrix), None

        fast, slow = jax.lax.scan(step, (x, x), length=9)[0]
        return slow, fast

    assert longest_chain(lambda m, x: two(m, x)[0], square(), square()) == 1
    assert longest_chain(two, square(), square()) == 9


def test_a_pipeline_of_two_carries():
    def shifted(matrix, x):
        # What is read was multiplied two steps ago: a product every other step.
        def step(carry, _):
            a, b = carry
            return (b @ matrix, a), None

        return jax.lax.scan(step, (x, x), length=10)[0]

    assert longest_chain(shifted, square(), square()) == 5


def test_the_way_back_is_as_long_again():
    def loss(matrix, x):
        return jnp.sum(jax.lax.scan(lambda h, _: (jnp.tanh(h @ matrix), None), x, length=20)[0])

    assert longest_chain(loss, square(), square()) == 20
    # The matrix's own gradient comes with every step.
    assert longest_chain(jax.grad(loss, 1), square(), square()) == 40


def test_of_a_branch_the_longest_after_what_decides():
    def either(x):
        deciding = jnp.sum(x @ x) > 0
        return jax.lax.cond(deciding, lambda x: x, lambda x: x @ x @ x, x)

    assert longest_chain(either, square()) == 3


def test_an_unknown_number_of_turns_is_refused():
    with pytest.raises(ValueError, match="while"):
        longest_chain(
            lambda x: jax.lax.while_loop(lambda x: x[0, 0] < 1, lambda x: x @ x, x), square()
        )
