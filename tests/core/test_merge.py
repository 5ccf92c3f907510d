"""The merge of contact data: symmetric where nobody has the say, idempotent, and nothing anybody wrote gives way in silence."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mlc.core.facts import Partner, ProcessorCustomer
from mlc.core.merge import FIELDS, OWNERS, Merged, differing, merge, of_customer, of_partner, only_sap, same, tidy, too_long

VALUE = st.sampled_from(["", "a", "A", "b", "Köln"])
CONTACT = st.fixed_dictionaries(dict.fromkeys(FIELDS, VALUE)).map(lambda one: {**one, "name": one["name"] or "C1"})
KNOWN = st.fixed_dictionaries(dict.fromkeys(FIELDS, st.one_of(st.none(), VALUE)))
OWNER = st.fixed_dictionaries(dict.fromkeys(FIELDS, st.sampled_from(OWNERS)))


@given(KNOWN, CONTACT, CONTACT, OWNER)
def test_every_field_has_one_end(known, sap, stripe, owners) -> None:
    """Each field is agreed or written on exactly one side, ends as one side's value, and a merge of the result changes nothing."""
    merged = merge(known, sap, stripe, owners)
    assert sorted([*merged.agreed, *merged.to_sap, *merged.to_stripe]) == sorted(FIELDS)
    assert all(merged.result[name] in (sap[name], stripe[name]) for name in FIELDS)
    assert all(not same(name, sap[name], stripe[name]) for name in (*merged.to_sap, *merged.to_stripe))
    assert merge(merged.result, merged.result, merged.result, owners) == Merged(merged.result, agreed=FIELDS)
    one_written = {**stripe, **{name: merged.result[name] for name in merged.to_stripe}}  # and the other was lost on the way
    after = merge({**known, **{name: merged.result[name] for name in merged.to_stripe}}, sap, one_written, owners)
    assert (after.to_sap, after.to_stripe) == (merged.to_sap, ())


@given(KNOWN, CONTACT, CONTACT)
def test_a_change_of_one_side_reaches_the_other(known, sap, stripe) -> None:
    """What only one side changed is what both hold; what both changed is SAP's; whatever anybody wrote and lost is told."""
    merged = merge(known, sap, stripe)
    told = {one.field: one for one in merged.conflicts}
    for name in FIELDS:
        was, ours, theirs = known[name], sap[name], stripe[name]
        if was is not None and same(name, was, theirs):
            assert merged.result[name] == ours
            assert name not in told
        elif was is not None and same(name, was, ours) and theirs:
            assert same(name, merged.result[name], theirs)
            assert name not in told
        else:
            assert merged.result[name] == ours
            assert (name in told) == (not same(name, ours, theirs) and not same(name, theirs, was or ""))


@given(KNOWN, CONTACT, CONTACT)
def test_the_owners_mirror_each_other(known, sap, stripe) -> None:
    """With SAP owning everything its values stand on both sides; with Stripe owning everything Stripe's do, names never emptied."""
    full = {name: text or "x" for name, text in stripe.items()}
    ours = merge(known, sap, full, dict.fromkeys(FIELDS, "sap"))
    theirs = merge(known, full, sap, dict.fromkeys(FIELDS, "stripe"))
    assert ours.to_sap == theirs.to_stripe == ()
    assert ours.to_stripe == theirs.to_sap
    assert [(one.field, one.sap, one.stripe) for one in ours.conflicts] == [
        (one.field, one.stripe, one.sap) for one in theirs.conflicts
    ]
    assert merge(known, sap, {**stripe, "name": ""}, dict.fromkeys(FIELDS, "stripe")).result["name"] == sap["name"]


@given(CONTACT, CONTACT)
def test_an_empty_value_at_stripe_empties_nothing(agreed, stripe) -> None:
    """What is taken out at Stripe stays in SAP and comes back to Stripe, unless Stripe owns the field."""
    merged = merge(agreed, agreed, stripe)
    assert all(merged.result[name] for name in FIELDS if agreed[name])
    owned = merge(agreed, agreed, stripe, {"email": "stripe"})
    assert same("email", owned.result["email"], stripe["email"])


TEXT = st.text(st.sampled_from("aZ ö\n\r\t,ß🚀"), max_size=300)


@given(TEXT, TEXT, TEXT, TEXT)
def test_what_was_written_is_no_change(name, phone, street, country) -> None:
    """What mlc wrote to Stripe and Stripe tells back, tidied or not, differs from SAP in nothing: no echo."""
    partner = Partner("C1", name, "a@example.com", phone, street, "", "", country)
    shown = of_partner(partner)
    back = ProcessorCustomer(
        "cus_1", shown["name"], "A@Example.com", shown["phone"], shown["line1"], "", "", shown["country"], "", "", 0
    )  # fmt: skip
    merged = merge(shown, shown, of_customer(back))
    assert (merged.to_sap, merged.to_stripe, merged.conflicts) == ((), (), ())
    assert differing(shown, of_customer(back)) == ()
    assert set(only_sap(partner)) >= {"phone"} if len(tidy(phone)) > 20 else "phone" not in only_sap(partner)
    assert too_long({**shown, "name": "n" * 101}, FIELDS)[0] == "name"
