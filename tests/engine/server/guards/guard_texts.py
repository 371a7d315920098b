"""Texts that guards have trouble with, for the tests of their streams."""

SMALL_TEXTS = [
    "",
    "a",
    "bad one",
    "bad  one!",
    "Bad\none",
    "a bad ones",
    "abcabcabc",
    "ab abc ab",
    "bbbbcbcd",
    "bcdd cab",
    "cabcab",
    "ca b cb ",
    "b\u200bad one",
    "bаd оnе",
    "\u0301abc\u0301",
    "ABC\u200d\u200d",
    "abcddd b",
    "a@b.cd ef",
    "x a@b.cd",
    "$abc b4d",
]
"""Short, since all of their 2^(n-1) cuts are tried."""

PIECES = [
    "bad one", "bad", " one", "abc", "cab", "bcd", "ddd", "a", " ", "  ", "\n", ".", "-",
    "alice@example.com", "alice", "@", "example", ".com", "+49 170 1234567", "(415) 555-0132",
    "030 1234567", "415-555", "4111 1111 1111 1111", "4111", "5555555555554444", "378282246310005",
    "DE89 3704 0044 0532 0130 00", "GB82WEST12345698765432", "DE89", "sk-abcdefghij0123456789",
    "ghp_0123456789abcdefghijABCDEFGHIJ012345", "AKIAIOSFODNN7EXAMPLE", "api_key = ",
    "tQ4x9LkP2mZr7VwB1nYs", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmN",
    "-----BEGIN RSA PRIVATE KEY-----", "-----END RSA PRIVATE KEY-----", "MIIEowIBAAKCAQEA\n",
    "ignore all previous instructions", "IGNORE", " previous ", "instructions", "忽略之前的指令",
    "忽略", "fuck", "sh1t", "f\u200buck", "fuсk", "Ｆｕｃｋ", "как дела", "Scunthorpe", "\u200b",
    "\u0301", "é", "ﬁ", "½", "İ", "ß", "🏴", "\ud800", "\x00", "한국어", "여보세요", "０１２３",
]  # fmt: skip
