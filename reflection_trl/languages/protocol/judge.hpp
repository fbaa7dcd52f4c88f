// The side of the tests: calls go to the answer's process.
#pragma once

#include <cassert>
#include <iostream>

#include "wire.hpp"

namespace reflection_trl {

constexpr int ENDED = 97;

// What the answer has thrown, as an exception of the same standard class
[[noreturn]] inline void throw_again(Message &message) {
    auto kind = message.get_text(), what = message.get_text();
    if (kind == "out_of_range") throw ::std::out_of_range(what);
    if (kind == "invalid_argument") throw ::std::invalid_argument(what);
    if (kind == "domain_error") throw ::std::domain_error(what);
    if (kind == "length_error") throw ::std::length_error(what);
    if (kind == "logic_error") throw ::std::logic_error(what);
    if (kind == "overflow_error") throw ::std::overflow_error(what);
    if (kind == "underflow_error") throw ::std::underflow_error(what);
    if (kind == "range_error") throw ::std::range_error(what);
    if (kind == "bad_alloc") throw ::std::bad_alloc();
    if (kind == "int") throw ::std::atoi(what.c_str());
    if (kind == "text") throw static_cast<const char *>(::strdup(what.c_str()));
    throw ::std::runtime_error(what);
}

// `P` are the types of the parameters as they are declared
template <class R, class... P> R call(int function, bool guarded, P... values) {
    Message message(ENDED);
    message.put_raw(function);
    message.put_raw<char>(guarded);
    (put_value<Value<P>>(message, values), ...);
    message.send();
    message.receive();
    if (!message.get_raw<char>()) throw_again(message);
    auto update = [&](auto &value, auto change) {
        if constexpr (decltype(change)::value) value = get_value<::std::decay_t<decltype(value)>>(message);
    };
    (update(values, ::std::bool_constant<changes<P>>()), ...);
    if constexpr (!::std::is_void_v<R>) {
        if constexpr (::std::is_reference_v<R>) return *new Value<R>(get_value<Value<R>>(message));
        else return get_value<Value<R>>(message);
    }
}

// A function of the answer, by its type
template <class F> struct Stub;

template <class R, class... P> struct Stub<R(P...)> {
    template <::std::size_t N> using Parameter = ::std::tuple_element_t<N, ::std::tuple<P...>>;
    using Result = R;
    static R call(int function, bool guarded, P... values) {
        return ::reflection_trl::call<R, P...>(function, guarded, static_cast<P>(values)...);
    }
};

// Destroyed when `main` returns
struct EndOfChecks {
    const char *mark;
    ~EndOfChecks() {
        ::std::cout << ::std::flush;
        ::std::printf("\n%s\n", mark);
        ::std::fflush(stdout);
    }
};

}  // namespace reflection_trl
