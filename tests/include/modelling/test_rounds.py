from include.modelling.rounds import MIN_TRIALS, ROUNDS, rounds_of


def test_the_rounds_hold_every_number_once_and_the_first_is_large_enough_to_learn_from():
    for trials in range(1, 501):
        rounds = rounds_of(trials)
        assert len(rounds) == ROUNDS
        assert [number for each in rounds for number in each] == list(range(trials))
        if trials < MIN_TRIALS:
            assert [len(each) for each in rounds] == [trials, 0, 0]
        else:
            assert max(2, trials / 3) <= len(rounds[0]) <= trials / 3 + 1
            assert min(map(len, rounds)) >= 2, "a round of one trial leaves other workers idle"
