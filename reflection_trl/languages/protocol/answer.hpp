// The side of the answer: runs its functions for the tests.
#pragma once

#include <functional>
#include <iostream>

#include "wire.hpp"

namespace reflection_trl {

using Function = ::std::function<void(Message &, Message &)>;

template <class R, class... P> Function bind(R (*function)(P...)) {
    return [function](Message &message, Message &reply) {
        ::std::tuple<Value<P>...> values{get_value<Value<P>>(message)...};
        auto invoke = [&](auto &...value) -> R { return function(static_cast<P>(value)...); };
        auto updates = [&](auto &...value) {
            auto update = [&](auto &one, auto change) {
                if constexpr (decltype(change)::value) put_value(reply, one);
            };
            (update(value, ::std::bool_constant<changes<P>>()), ...);
        };
        reply.put_raw<char>(1);
        if constexpr (::std::is_void_v<R>) {
            ::std::apply(invoke, values);
            ::std::apply(updates, values);
        } else {
            Value<R> result = ::std::apply(invoke, values);
            ::std::apply(updates, values);
            put_value<Value<R>>(reply, result);
        }
    };
}

template <class R, class... P> Function bind(R (*function)(P...) noexcept) {
    return bind(static_cast<R (*)(P...)>(function));
}

// An object that is called, such as a lambda
template <class F, class R, class... P> Function bind_object(F &object, R (F::*)(P...) const) {
    static F &kept = object;
    return bind(static_cast<R (*)(P...)>([](P... values) -> R { return kept(static_cast<P>(values)...); }));
}

template <class F, class = decltype(&F::operator())> Function bind(F *object) {
    return bind_object(*object, &F::operator());
}

inline ::std::pair<::std::string, ::std::string> described() {
    try {
        throw;
    } catch (const ::std::out_of_range &error) { return {"out_of_range", error.what()};
    } catch (const ::std::invalid_argument &error) { return {"invalid_argument", error.what()};
    } catch (const ::std::domain_error &error) { return {"domain_error", error.what()};
    } catch (const ::std::length_error &error) { return {"length_error", error.what()};
    } catch (const ::std::logic_error &error) { return {"logic_error", error.what()};
    } catch (const ::std::overflow_error &error) { return {"overflow_error", error.what()};
    } catch (const ::std::underflow_error &error) { return {"underflow_error", error.what()};
    } catch (const ::std::range_error &error) { return {"range_error", error.what()};
    } catch (const ::std::bad_alloc &error) { return {"bad_alloc", error.what()};
    } catch (const ::std::exception &error) { return {"exception", error.what()};
    } catch (const char *text) { return {"text", text};
    } catch (int number) { return {"int", ::std::to_string(number)};
    } catch (...) { return {"exception", "unknown"}; }
}

inline int serve(::std::vector<Function> functions) {
    for (;;) {
        Message message(0), reply(0);
        message.receive();
        auto &function = functions.at(message.get_raw<int>());
        if (message.get_raw<char>()) {  // the tests catch what is thrown
            try {
                function(message, reply);
            } catch (...) {
                auto [kind, what] = described();
                reply = Message(0);
                reply.put_raw<char>(0);
                reply.put_text(kind);
                reply.put_text(what);
            }
        } else {
            function(message, reply);
        }
        ::std::cout << ::std::flush;
        ::std::fflush(stdout);
        reply.send();
    }
}

}  // namespace reflection_trl
